"""A child process made by forking: all modules are loaded already, so it serves in an instant.

Forking is safe where one thread runs and nothing is open that two processes must not share: the supervisor starts
no thread and opens neither database nor event loop (``docs/adr/0006-children-are-forked.md``).
"""

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from moorage.web import log

#: Signals whose handlers in the parent mean nothing in a child.
_INHERITED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class ChildProcess:
    """One forked child, as its parent sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        #: Exit code, negative for the signal that ended it; None while it runs.
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code if the child has ended, else None. Does not wait."""
        return self._collect(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait for the end; returns the exit code."""
        return self._collect(0)

    def _collect(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the child unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def fork(program: Callable[[], None], prepare: Callable[[], None]) -> ChildProcess:
    """Run ``program`` in a child of this process; ``prepare`` lets go of what only the parent may hold.

    No signal is lost in between: a child that is told to end before it listens ends by the signal.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _INHERITED)
    pid = os.fork()
    if pid == 0:
        _live(program, prepare, blocked)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return ChildProcess(pid)


def _live(
    program: Callable[[], None], prepare: Callable[[], None], mask: set[int | signal.Signals]
) -> NoReturn:
    """The whole life of the child. It never returns into the parent's code."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in _INHERITED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        # A Ctrl-C in the terminal goes to the supervisor alone, which tells the children.
        os.setsid()
        _forget_standard_input()
        prepare()
        program()
        code = 0
    except SystemExit as request:
        code = request.code if isinstance(request.code, int) else int(request.code is not None)
    except BaseException:  # noqa: BLE001 - nothing may travel up into the parent's stack
        traceback.print_exc()
    finally:
        log.writer.flush()
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def _forget_standard_input() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
