"""How long a turn of the event loop takes requests on."""

import asyncio
from collections.abc import Callable

from moorage.web.admission import ALWAYS_SERVED, LOOK_SECONDS, Turn
from moorage.web.asgi import Application, Route, plain
from moorage.web.http import Request, Response
from tests.unit.web.test_application import Client, Watcher, scope

SECONDS = 1.0
LATE = SECONDS + 2 * LOOK_SECONDS


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def play(ask: Callable[[Turn, Clock], list[bool]], *, seconds: float = SECONDS) -> list[bool]:
    """What a turn says, in a loop."""

    async def run() -> list[bool]:
        clock = Clock()
        return ask(Turn(seconds, clock), clock)

    return asyncio.run(run())


def exhaust(turn: Turn, clock: Clock) -> list[bool]:
    """A turn that lasts too long, serves some all the same, and is asked again."""
    first = turn.is_over()
    clock.now += LATE
    return [first, *(turn.is_over() for _ in range(ALWAYS_SERVED + 1))]


def test_the_rest_of_a_turn_that_lasts_too_long_is_not_taken_on() -> None:
    assert play(exhaust) == [*[False] * (1 + ALWAYS_SERVED), True]


def test_without_a_bound_a_turn_may_last_for_ever() -> None:
    assert play(exhaust, seconds=0) == [False] * (ALWAYS_SERVED + 2)


def test_a_process_that_was_stopped_serves_the_few_who_waited() -> None:
    """However many it served before, in the same turn: a disk that stalls for a second is no overload."""

    def ask(turn: Turn, clock: Clock) -> list[bool]:
        before = [turn.is_over() for _ in range(10 * ALWAYS_SERVED)]
        clock.now += 3600
        return [*before, *(turn.is_over() for _ in range(ALWAYS_SERVED))]

    assert not any(play(ask))


def test_the_next_turn_takes_requests_on_again() -> None:
    async def run() -> list[bool]:
        clock = Clock()
        turn = Turn(SECONDS, clock)
        said = exhaust(turn, clock)[-1:]
        await asyncio.sleep(2 * LOOK_SECONDS)
        return [*said, turn.is_over()]

    assert asyncio.run(run()) == [True, False]


async def _served(_request: Request) -> Response:
    return plain(200, "served")


def test_who_comes_too_late_is_turned_away_but_health_is_told() -> None:
    async def run() -> list[int]:
        clock, watcher = Clock(), Watcher()
        turn = Turn(SECONDS, clock)
        exhaust(turn, clock)
        vital = Route("/livez", _served, "ops", is_vital=True)
        fallback = Route("/", _served, "json", refuse=lambda _request, _error: plain(429, "later"))
        application = Application([vital], fallback, [watcher], turn=turn)
        clients = {path: Client() for path in ("/livez", "/other")}
        for path, client in clients.items():
            await application(scope(path=path), client.receive, client.send)
        assert [exchange.turned_away for exchange in watcher.exchanges] == ["", "waiting"]
        return [client.status for client in clients.values()]

    assert asyncio.run(run()) == [200, 429]
