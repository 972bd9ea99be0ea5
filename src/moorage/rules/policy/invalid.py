"""What is wrong with a policy that cannot be accepted."""


class PolicyInvalid(ValueError):
    """The text is no policy of its kind; ``reason`` says why, in plain words."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
