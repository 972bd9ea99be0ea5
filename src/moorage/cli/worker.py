"""Program of a web worker; ``moorage serve`` starts it."""

from moorage.web import worker
from moorage.wiring import build_app

if __name__ == "__main__":
    worker.run(build_app)
