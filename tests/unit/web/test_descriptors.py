"""File descriptors and the connections that they allow."""

import resource
import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from moorage.web.descriptors import most_connections


@pytest.mark.parametrize(
    ("wanted", "limit", "most"),
    [(4096, 65536, 4096), (4096, 1024, 170), (0, 1024, 170), (100, 1024, 100), (10, 3, 1)],
)
def test_connections_are_those_wanted_as_far_as_descriptors_go(wanted: int, limit: int, most: int) -> None:
    """Each may need three, and the process itself some."""
    assert most_connections(wanted, limit) == most


def test_it_is_said_when_descriptors_allow_fewer_connections() -> None:
    """An operator who asked for more has to learn of it."""
    with capture_logs() as lines:
        most_connections(4096, 1024)
        most_connections(0, 1024)
        most_connections(100, 1024)
    assert [line["event"] for line in lines] == ["connections_bounded_by_descriptors"]


def test_a_process_takes_all_the_descriptors_it_may_have() -> None:
    """Tried in a process of its own, whose limits are its own."""
    program = (
        "import resource; from moorage.web.descriptors import raise_limit;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 500));"
        "print(raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told == "500 (500, 500)\n"
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
