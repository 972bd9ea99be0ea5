"""A network of its own, in which Amazon's host names lead to the server under test.

Clients of ECR find the account and the region in the host name and insist on TLS and on port 443. A private
network and mount namespace gives them exactly that: one address that is not a loopback one (clients treat
those as insecure on their own), the names in a private ``/etc/hosts``, and nothing else to reach.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Of the block that RFC 5737 keeps for documentation.
ADDRESS = "192.0.2.10"

# Ends by itself when the pipe to its standard input closes, whatever becomes of the tests.
_HOLD = """
set -e
ip link set lo up
ip address add "$2/32" dev lo
mount --bind "$1" /etc/hosts
echo ready
exec cat
"""


@dataclass(frozen=True)
class Namespace:
    """A live namespace; ``prefix`` before a command runs that command in it."""

    prefix: tuple[str, ...]


@contextmanager
def namespace(directory: Path, names: Sequence[str]) -> Iterator[Namespace]:
    """A namespace in which every one of ``names`` is ADDRESS; gone on leaving.

    Raises ``RuntimeError`` where the machine does not allow it (it needs root).
    """
    hosts = directory / "hosts"
    hosts.write_text("".join(f"{ADDRESS} {name}\n" for name in names) + "127.0.0.1 localhost\n")
    argv = ["unshare", "--net", "--mount", "sh", "-c", _HOLD, "sh", str(hosts), ADDRESS]
    holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert holder.stdout is not None
        line = holder.stdout.readline().decode().strip()
        if line != "ready":
            raise RuntimeError(f"no private network here: {line}")
        yield Namespace(("nsenter", f"--target={holder.pid}", "--net", "--mount", "--root", "--wd", "--"))
    finally:
        holder.communicate()
