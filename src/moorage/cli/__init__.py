"""The command line: argument parsing only. Each module of this package is one command or group of them."""

import gc
import sys
from collections.abc import Callable


def main() -> None:
    """Entry point of the ``moorage`` program."""
    load()()


def load() -> Callable[[], None]:
    """The program. Loads no more than is used, and collects no garbage meanwhile: nothing that is loaded is any."""
    gc.disable()
    # structlog loads rich, and with it a hundred modules, to write for terminals; ours are lines for programs.
    sys.modules["rich"] = None  # type: ignore[assignment] # Python's own way to say that a module is not there
    import structlog  # noqa: F401

    del sys.modules["rich"]
    from moorage.cli.main import application

    # All of it stays: neither this process nor those that it forks look through it for garbage again.
    gc.freeze()
    gc.enable()
    return application
