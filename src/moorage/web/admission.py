"""How much one process takes on at once. What is beyond that is turned away at once, and costs next to nothing."""

import sys


class Load:
    """The requests that a process is working on, and how many those may be; 0 means any number.

    One that waits for its client, for more of a body or to take more of an answer, does not count meanwhile: slow
    clients take up connections, which are bounded elsewhere, and must not take the place of others.
    """

    __slots__ = ("most", "running")

    def __init__(self, most: int = 0) -> None:
        self.most = most or sys.maxsize
        self.running = 0
