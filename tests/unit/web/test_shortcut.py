"""Ready answers: when they are sent, and above all when they are not."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import pytest

from moorage.domain.audit import Note
from moorage.domain.caller import RequestFacts
from moorage.web import shortcut as module
from moorage.web.admission import Load, Turn
from moorage.web.asgi import Exchange, Route
from moorage.web.http import CROWD, Request, Response
from moorage.web.shortcut import Answer, Known, Recorder, Shortcut

HEAD = b"GET /v2/a/manifests/x HTTP/1.1"
BLOCK = b"\r\nHost: h\r\n\r\n"
SCOPE: dict[str, Any] = {
    "method": "GET",
    "path": "/v2/a/manifests/x",
    "raw_path": b"/v2/a/manifests/x",
    "query_string": b"",
    "headers": [(b"host", b"h")],
    "scheme": "http",
    "client": ("127.0.0.1", 1),
}
DEFAULT = b"date: today\r\n"


@dataclass(eq=False)
class Someone:
    """An asker whose proof is good until then."""

    expires_at: int = 1 << 62


class Pulls:
    """A source that counts what it is asked."""

    def __init__(self, body: bytes | None = b"{}") -> None:
        self.now: bytes | None = b"1"
        self.someone: Someone | None = Someone()
        self.found = 0
        self.answers: list[int] = []
        self._body = body
        self.kept: bytes | None = b"kept"
        self.changed: set[int] = set()
        self.looked = 0
        self.is_refused = False

    def mark(self) -> bytes | None:
        """What the test says."""
        return self.now

    def asker(self, _request: Request) -> Someone | None:
        """Whom the test says."""
        return self.someone

    def find(self, _asker: Any, facts: RequestFacts, line: bytes) -> Answer | None:
        """An answer to everything but what is missing."""
        self.found += 1
        if self.is_refused or b"missing" in line:
            return None
        return Answer(200, b"etag: e\r\n", self._body, 2, "get", "GET", "/v2/a", self.found, Note(facts))

    def holds(self, answer: Answer) -> bool:
        """Unless the test says that it changed."""
        self.looked += 1
        return answer.what not in self.changed

    def body(self, _answer: Answer) -> bytes | None:
        """What the test says."""
        return self.kept

    def answered(self, answer: Answer, _at: int) -> None:
        """Remembered."""
        self.answers.append(answer.what)


class Seen:
    """A witness."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.ids: list[bytes] = []

    def prepare(self, exchange: Exchange) -> Recorder:
        """Remember of what kind it is, and then each id."""
        self.exchanges.append(exchange)
        return lambda request_id, _now, _nanoseconds: self.ids.append(request_id)


async def _handle(_request: Request) -> Response:
    raise AssertionError("nothing goes the ordinary way here")


ROUTE = Route("/v2", _handle, "v2", has_subtree=True, face="v2")


class Way:
    """A shortcut with its source and an observer."""

    def __init__(self, source: Pulls | None = None, most: int = 0, turn: Turn | None = None) -> None:
        self.source = source or Pulls()
        self.seen = Seen()
        self.load = Load(most)
        self.shortcut = Shortcut(self.source, ROUTE, self.load, turn or Turn(), [self.seen])
        known = self.shortcut.learn(HEAD + BLOCK, SCOPE)
        assert known is not None
        self.known: Known = known

    def ask(self, line: bytes = HEAD, block: bytes = BLOCK) -> bytes | None:
        """What is ready, asked within an event loop."""

        async def asked() -> bytes | None:
            return self.shortcut.answer(self.known, line + block, DEFAULT)

        return asyncio.run(asked())


def test_a_ready_answer_has_a_status_line_the_default_lines_its_own_and_an_id() -> None:
    """As every answer of the registry."""
    answer = Way().ask()
    assert answer is not None
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[:3] == [b"HTTP/1.1 200 OK", b"date: today", b"etag: e"]
    assert lines[3].startswith(b"x-request-id: ")
    assert body == b"{}"


def test_what_was_found_once_is_not_looked_for_again() -> None:
    """That is the use of it."""
    way = Way()
    assert all(way.ask() for _ in range(5))
    assert way.source.found == 1
    assert way.source.answers == [1] * 5


def test_after_a_commit_an_answer_is_sent_again_if_it_still_holds() -> None:
    """Which is looked at once for each commit, not for each request."""
    way = Way()
    way.ask()
    way.source.now = b"2"
    assert all(way.ask() for _ in range(3))
    assert way.source.found == 1
    assert way.source.looked == 1


def test_after_a_commit_what_changed_is_looked_for_anew() -> None:
    """And is sent from then on."""
    way = Way()
    way.ask()
    way.source.now, way.source.changed = b"2", {1}
    assert all(way.ask() for _ in range(3))
    assert way.source.answers == [1, 2, 2, 2]


def test_an_answer_that_does_not_hold_is_dropped_although_nothing_takes_its_place() -> None:
    """A key that was switched off must not find it there when the next commit is seen."""
    way = Way()
    way.ask()
    way.source.now, way.source.changed = b"2", {1}
    way.source.is_refused = True
    assert way.ask() is None
    way.source.is_refused, way.source.changed = False, set()
    way.source.now = b"3"
    way.ask()
    assert way.source.found == 3


def test_nothing_is_ready_in_the_moment_of_a_commit() -> None:
    """The ordinary way waits for nothing either, and knows."""
    way = Way()
    way.ask()
    way.source.now = None
    assert way.ask() is None


def test_a_proof_that_is_over_opens_nothing() -> None:
    """Although the answer is there."""
    way = Way()
    way.ask()
    assert way.source.someone is not None
    way.source.someone.expires_at = time.time_ns() // 1000 - 1
    assert way.ask() is None


@pytest.mark.parametrize("block", [b"\r\nHost: i\r\n\r\n", BLOCK + HEAD + BLOCK, b"\r\nHost: h\r\n", b""])
def test_another_header_is_parsed(block: bytes) -> None:
    """Also one that is not complete, and one with a request behind it."""
    way = Way()
    way.ask()
    assert way.ask(block=block) is None


def test_what_the_source_does_not_have_is_never_kept() -> None:
    """A refusal is for the ordinary way, each time."""
    way = Way()
    assert way.ask(b"GET /v2/a/manifests/missing HTTP/1.1") is None
    assert way.ask(b"GET /v2/a/manifests/missing HTTP/1.1") is None
    assert way.source.found == 2
    assert not way.seen.exchanges


def test_a_body_that_is_not_kept_is_asked_for_each_time() -> None:
    """And when it is gone the ordinary way says so."""
    way = Way(Pulls(body=None))
    first = way.ask()
    assert first is not None
    assert first.endswith(b"kept")
    way.source.kept = None
    assert way.ask() is None


def test_no_ready_answer_while_there_is_too_much_to_do() -> None:
    """The ordinary way turns it away, and counts that."""
    way = Way(most=1)
    way.load.running = 1
    assert way.ask() is None


def test_witnesses_take_note_of_each_answer() -> None:
    """Its kind is told to them once, its id and time each time."""
    way = Way()
    answers = [way.ask() for _ in range(3)]
    assert [exchange.bytes_sent for exchange in way.seen.exchanges] == [2]
    assert len(set(way.seen.ids)) == 3
    assert all(id_ in (answer or b"") for id_, answer in zip(way.seen.ids, answers, strict=True))


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In number and in bytes."""
    monkeypatch.setattr(module, "MAX_ANSWERS", 10)
    way = Way()
    for number in range(95):
        assert way.ask(b"GET /v2/a/manifests/%d HTTP/1.1" % number)
        assert len(way.shortcut._kept) <= 10
    monkeypatch.setattr(module, "MAX_BODY_BYTES", 6)
    for number in range(95):
        assert way.ask(b"GET /v2/b/manifests/%d HTTP/1.1" % number)
        assert sum(len(kept.answer.body or b"") for kept in way.shortcut._kept.values()) <= 6


def test_what_nobody_asked_for_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few that are asked for all the time outlive any number that are asked for once."""
    monkeypatch.setattr(module, "MAX_ANSWERS", 2)
    way = Way()
    way.ask()
    for number in range(5):
        way.ask(b"GET /v2/b/manifests/%d HTTP/1.1" % number)
        way.ask()
    assert way.source.answers.count(1) == 6


def test_a_header_that_proves_nobody_is_not_remembered() -> None:
    """Nor one outside of the face, nor that of a connection too many."""
    way = Way()
    assert way.shortcut.learn(HEAD + BLOCK, SCOPE | {"path": "/metrics"}) is None
    assert way.shortcut.learn(HEAD + BLOCK, SCOPE | {"extensions": {CROWD: {}}}) is None
    way.source.someone = None
    assert way.shortcut.learn(HEAD + BLOCK, SCOPE) is None
