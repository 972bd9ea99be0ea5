"""Liveness and readiness."""

import asyncio
from typing import cast

from structlog.testing import capture_logs

from moorage.web.health import Health, Probe
from moorage.web.http import Request, Response

REQUEST = cast("Request", None)


class Clock:
    """Time by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Tried:
    """A probe that counts, and fails when told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.count = 0

    async def __call__(self) -> None:
        self.count += 1
        await asyncio.sleep(0)
        if self.fails:
            raise OSError("secret detail")


def ready(health: Health) -> Response:
    return asyncio.run(health.ready(REQUEST))


def test_live_answers_whatever_the_probes_say() -> None:
    """A process that lives but cannot serve must not be killed for it."""
    response = asyncio.run(Health({"disk": Tried(fails=True)}).live(REQUEST))
    assert response.status == 200


def test_ready_names_what_fails_and_nothing_else() -> None:
    """The name only; the text goes to the log."""
    probes: dict[str, Probe] = {"database": Tried(), "disk": Tried(fails=True)}
    with capture_logs() as lines:
        response = ready(Health(probes))
    assert (response.status, response.body) == (503, b"disk\n")
    assert lines[0]["probe"] == "disk"


def test_ready_answers_200_when_all_probes_pass() -> None:
    """Then requests may come."""
    assert ready(Health({"database": Tried()})).status == 200


def test_probes_run_once_a_second_at_most() -> None:
    """Callers in a crowd share one answer."""
    clock, probe = Clock(), Tried()
    health = Health({"disk": probe}, clock)

    async def crowds() -> list[int]:
        counts = []
        for _ in range(2):
            await asyncio.gather(*(health.ready(REQUEST) for _ in range(10)))
            counts.append(probe.count)
            clock.now += 1
        return counts

    assert asyncio.run(crowds()) == [1, 2]


def test_a_recovered_probe_makes_ready_again() -> None:
    """The cache does not hold a failure longer than a success."""
    clock, probe = Clock(), Tried(fails=True)
    health = Health({"disk": probe}, clock)
    with capture_logs():
        assert ready(health).status == 503
    probe.fails = False
    clock.now += 1
    assert ready(health).status == 200


def test_a_draining_server_is_not_ready() -> None:
    """Whatever the probes say."""
    health = Health({})
    health.drain()
    response = ready(health)
    assert (response.status, response.body) == (503, b"draining\n")
