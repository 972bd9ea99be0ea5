"""Worker program of the supervisor's tests."""

from moorage.web import worker
from moorage.web.orders import Orders
from tests.server.tiny_app import build_app


def run(mine: Orders) -> None:
    """Serve the tiny application."""
    worker.run(build_app, mine)
