"""Supervisor program of the tests: ``tiny_serve.py DATA_DIR WORKERS DRAIN_SECONDS [WORKER_MODULE]``."""

import importlib
import os
import sys
from pathlib import Path

from moorage.config import Settings
from moorage.web import listen, log
from moorage.web.data_lock import DataLock
from moorage.web.supervisor import Slot, Supervisor


def main() -> int:
    """Serve on a free port of 127.0.0.1, which is printed when all workers are ready."""
    data_dir, workers, drain = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    module = sys.argv[4] if len(sys.argv) > 4 else "tests.server.tiny_worker"
    log.configure("info")
    lock = DataLock(data_dir)
    sockets = listen.bind([listen.parse_address("127.0.0.1:0")])
    certificate, key = os.environ.get("TINY_CERT"), os.environ.get("TINY_KEY")
    settings = Settings(
        data_dir=data_dir,
        listen=listen.bound_addresses(sockets),
        drain_seconds=drain,
        # Who waits while a worker is replaced is served in the end, however busy the machine is.
        queue_seconds=0,
        tls_cert=Path(certificate) if certificate else None,
        tls_key=Path(key) if key else None,
    )
    slot = Slot("web", importlib.import_module(module).run, workers)
    supervisor = Supervisor(settings, sockets, [slot], lambda: _announce(settings.port), [lock.descriptor])
    return supervisor.run()


def _announce(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
