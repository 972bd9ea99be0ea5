"""Worker program of the supervisor's tests."""

from moorage.web import worker
from tests.server.tiny_app import build_app

if __name__ == "__main__":
    worker.run(build_app)
