"""The audit of reads and refusals: what is recorded, and what becomes of it when the log does not keep up."""

import asyncio
import dataclasses
import json
import uuid
from typing import Any

import pytest
from structlog.testing import capture_logs

from moorage.domain import audit
from moorage.domain.audit import Note
from moorage.domain.caller import ANONYMOUS, Caller, RegistryKey, RequestFacts
from moorage.domain.errors import AccessDenied, CredentialsUnknown, RegistryError, RepositoryNotFound
from moorage.domain.names import RegistryId
from moorage.web import audit as module
from moorage.web.asgi import Exchange
from moorage.web.http import Message, Request, Response
from tests.support.auditing import Trail

ACCOUNT = RegistryId("123456789012")
REGISTRY = RegistryKey(ACCOUNT, "eu-central-1")
FACTS = RequestFacts("the-request-id", "v2", "203.0.113.12", False, 'a "quoted" agent', 1_795_254_378_500_000)
CALLER = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "AKIAIOSFODNN7EXAMPLE", "eu-central-1", FACTS)
OTHER_ID, THIRD_ID = (b"0aa6ba9e-0a4d-4f0e-8f57-00000000000%d" % number for number in (1, 2))
DENIED = AccessDenied(principal="p", action="a", resource="r", reason="because")
MISSING = RepositoryNotFound(repository_name="a", registry_id=ACCOUNT)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def request(event: str = "BatchGetImage", refusal: RegistryError | None = None) -> Request:
    """A request that was answered."""
    scope = {
        "method": "GET",
        "path": "/v2/a/manifests/x",
        "query_string": b"",
        "headers": [],
        "scheme": "http",
    }
    made = Request(scope, _nothing, FACTS)
    made.note.event, made.note.caller, made.note.registry = event, CALLER, REGISTRY
    made.note.refusal = refusal
    made.note.add(repositoryName='"eventTime":"')
    return made


def test_a_read_is_recorded_without_its_answer() -> None:
    """Whoever asked for a token must not find it in the log."""
    (record,) = Trail().see(request("GetAuthorizationToken"), Response(200))
    assert record["responseElements"] is None
    assert "errorCode" not in record


def test_a_refusal_of_either_face_has_awss_code_and_sentence() -> None:
    """So that one rule finds it, whichever client it came by."""
    (record,) = Trail().see(request(refusal=DENIED), Response(403, error_code="DENIED"))
    assert record["errorCode"] == "AccessDeniedException"
    assert "is not authorized to perform: a" in record["errorMessage"]


def test_a_failure_that_aws_has_no_code_for_has_that_of_the_face() -> None:
    """Or of HTTP, where there is none either."""
    (record,) = Trail().see(request(), Response(500, error_code="UNKNOWN"))
    assert record["errorCode"] == "UNKNOWN"
    (record,) = Trail().see(request(), Response(416))
    assert record["errorCode"] == "Http416"


def test_a_change_that_has_its_record_gets_no_other() -> None:
    """One record a call."""
    recorded = request("PutImage")
    recorded.note.is_recorded = True
    assert Trail().see(recorded, Response(201)) == []


def test_what_watches_the_server_is_no_call() -> None:
    """Health and metrics."""
    assert Trail().see(request(), Response(200), "ops") == []


@pytest.mark.parametrize(
    ("reads", "seen"),
    [
        ("all", ["read", "missing", "denied", "unknown", "change"]),
        ("denied", ["denied", "unknown", "change"]),
        ("off", ["change"]),
    ],
)
def test_the_setting_says_which_reads_are_recorded(reads: str, seen: list[str]) -> None:
    """A change that was tried is recorded always."""
    asked = {
        "read": (request(), 200),
        "missing": (request(refusal=MISSING), 404),
        "denied": (request(refusal=DENIED), 403),
        "unknown": (request(refusal=CredentialsUnknown()), 401),
        "change": (request("PutImage", MISSING), 404),
    }
    trail = Trail(reads)
    assert [name for name, (one, status) in asked.items() if trail.see(one, Response(status))] == seen


def test_a_record_that_cannot_be_made_is_counted_and_breaks_nothing() -> None:
    """The request is answered already."""
    broken = request()
    broken.note.parameters = {"what": object()}
    trail = Trail()
    with capture_logs() as lines:
        assert trail.see(broken, Response(200)) == []
    assert trail.dropped == 1
    assert [line["event"] for line in lines] == ["audit_record_failed"]


# --- Who proves nothing ------------------------------------------------------------------------------------


@pytest.fixture
def flooded(monkeypatch: pytest.MonkeyPatch) -> Trail:
    """A trail that takes 20,000 bytes of records of whoever proves nothing, and had a hundred of a thousand bytes."""
    monkeypatch.setattr(module, "UNPROVEN_BYTES", 20_000)
    trail = Trail()
    refuse(trail, 100)
    return trail


def unproven(caller: Caller | None = None) -> Request:
    """A request that was refused because nobody knows whose it is."""
    made = request(refusal=CredentialsUnknown())
    made.note.caller = caller
    made.note.add(imageTag="x" * 1_000)
    return made


def refuse(trail: Trail, count: int) -> None:
    """So many of them, answered."""
    for _ in range(count):
        trail.observer.finished(Exchange(unproven(), "v2", 401))
    trail.buffer.flush()


@pytest.mark.parametrize("caller", [None, dataclasses.replace(CALLER, account_id=ANONYMOUS)])
def test_of_whoever_proves_nothing_the_next_record_says_how_many_were_left_out(
    flooded: Trail, caller: Caller | None
) -> None:
    """That is not lost by accident, so it is not counted as such."""
    kept = len(flooded.log.records)
    assert 20_000 < len(flooded.log.text) < 20_000 + audit.MAX_RECORD
    assert flooded.see(unproven(caller), Response(401)) == []
    flooded.monotonic += 10
    (record,) = flooded.see(unproven(caller), Response(401))
    assert record["additionalEventData"] == {"omittedRecords": 101 - kept}
    (record,) = flooded.see(unproven(caller), Response(401))
    assert "additionalEventData" not in record
    assert flooded.dropped == 0


def test_in_the_long_run_they_get_no_more_than_their_share(flooded: Trail) -> None:
    """However long they were silent before."""
    flooded.monotonic += 36_000
    before = len(flooded.log.text)
    for _ in range(300):
        flooded.monotonic += 1
        refuse(flooded, 3)
    most = 20_000 + 300 * module.UNPROVEN_BYTES_PER_SECOND
    assert most * 0.9 < len(flooded.log.text) - before < most + audit.MAX_RECORD


def test_while_they_are_left_out_all_others_are_recorded(flooded: Trail) -> None:
    """Who is known and refused, and who pulls without credentials where that is open."""
    assert flooded.see(unproven(), Response(401)) == []
    assert len(flooded.see(request(refusal=DENIED), Response(403))) == 1
    assert len(flooded.see(request("PutImage", MISSING), Response(404))) == 1
    everybody = request()
    everybody.note.caller = dataclasses.replace(CALLER, account_id=ANONYMOUS)
    assert len(flooded.see(everybody, Response(200))) == 1


# --- Ready answers -------------------------------------------------------------------------------------------


def test_a_ready_answer_is_recorded_as_the_ordinary_one_but_for_its_time_and_ids() -> None:
    """Whatever texts it holds."""
    trail, asked = Trail(), request()
    (ordinary,) = trail.see(asked, Response(200))
    record = trail.observer.prepare(Exchange(asked, "v2", 200))
    record(OTHER_ID, 1_795_254_380_000_000, 5)
    record(THIRD_ID, 1_795_254_380_999_999, 5)
    trail.buffer.flush()
    first, second = trail.log.records[1:]
    changed = {"eventTime": "2026-11-21T09:46:20Z", "eventID": first["eventID"], "requestID": OTHER_ID.decode()}
    assert first == ordinary | changed
    assert list(first) == list(ordinary)
    assert second["requestID"] == THIRD_ID.decode()
    ids = {ordinary["eventID"], first["eventID"], second["eventID"], OTHER_ID.decode(), THIRD_ID.decode()}
    assert len(ids) == 5
    assert all(uuid.UUID(each).version == 4 for each in ids)


def test_ready_answers_are_not_recorded_where_reads_are_not() -> None:
    """They are reads that succeed."""
    trail = Trail("denied")
    trail.observer.prepare(Exchange(request(), "v2", 200))(b"an-id", 1, 1)
    trail.buffer.flush()
    assert trail.log.records == []


# --- The buffer ----------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Trail:
    """A trail whose buffer holds three records, or thirty bytes."""
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 30)
    return Trail()


def written(trail: Trail) -> list[Any]:
    """What got into the log."""
    trail.buffer.flush()
    return [json.loads(line) for line in trail.log.text.splitlines()]


def test_records_are_written_in_their_order(small: Trail) -> None:
    """Nobody waits for a disk: that is for changes."""
    for number in range(3):
        small.buffer.put(b"%d\n" % number)
    assert written(small) == [0, 1, 2]
    assert small.log.syncs == 0


@pytest.mark.parametrize("lines", [[b"1\n"] * 3, [b"1" * 29 + b"\n"]])
def test_what_is_beyond_the_bounds_is_dropped_and_counted(small: Trail, lines: list[bytes]) -> None:
    """By number and by bytes; there is room again once it is written."""
    for line in lines:
        small.buffer.put(line)
    small.buffer.put(b"2\n")
    assert small.dropped == 1
    assert 2 not in written(small)
    small.buffer.put(b"3\n")
    assert small.dropped == 1
    assert written(small)[-1] == 3


def test_ready_answers_beyond_the_bound_are_dropped_too(small: Trail) -> None:
    """They hold little memory, but there may be many."""
    record = small.observer.prepare(Exchange(request(), "v2", 200))
    for _ in range(5):
        record(b"an-id", 1, 1)
    assert small.dropped == 2
    assert len(written(small)) == 3


def test_a_log_that_fails_is_told_of_once_and_loses_nothing_within_the_bound() -> None:
    """What could not be written comes first when it works again."""
    trail = Trail()
    trail.log.is_full = True
    with capture_logs() as lines:
        for number in range(3):
            trail.buffer.put(b"%d\n" % number)
            trail.buffer.flush()
    assert [line["event"] for line in lines] == ["audit_not_written"]
    trail.log.is_full = False
    assert written(trail) == [0, 1, 2]


def test_what_waits_is_written_by_its_thread_and_at_the_end() -> None:
    """The thread needs no event loop, and ``stop`` returns when all is written."""
    trail = Trail()
    trail.buffer.start()
    trail.buffer.put(b"1\n")
    asyncio.run(trail.buffer.stop())
    assert trail.log.text == b"1\n"


def test_a_note_is_each_requests_own() -> None:
    """Nothing of one gets into another's record."""
    one, other = request(), request()
    one.note.add(imageTag="1")
    assert isinstance(other.note, Note)
    assert other.note.parameters == {"repositoryName": '"eventTime":"'}
