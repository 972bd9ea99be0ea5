"""A Docker engine of its own: private socket, private data, no bridge, no firewall rules."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.clients.command import succeeds
from tests.serving import running, wait_until_ready


@contextmanager
def engine(directory: Path, prefix: Sequence[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Run dockerd below ``directory`` and yield the value for ``DOCKER_HOST``.

    It stores, pushes and pulls; running containers is not asked of it. Raises ``RuntimeError`` with its log
    when it does not start.
    """
    directory.mkdir()
    host = f"unix://{directory}/socket"
    argv = [
        *prefix,
        "dockerd",
        f"--host={host}",
        f"--data-root={directory}/data",
        f"--exec-root={directory}/run",
    ]
    argv += [f"--pidfile={directory}/pid", "--storage-driver=vfs", "--bridge=none"]
    argv += ["--iptables=false", "--ip6tables=false"]
    log = directory / "dockerd.log"
    with running(argv, log, environment) as process:
        asking = ["docker", f"--host={host}", "version"]
        wait_until_ready(lambda: succeeds(asking, environment), process, log)
        yield host
