"""The oracles see: each catches a fault that was planted for it, and none cries where all is well."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvloop

from moorage import wiring
from moorage.config import Settings
from moorage.metadata.sqlite import connect
from tests.fuzz import answers, oracles
from tests.fuzz.answers import Outcome
from tests.fuzz.application import Fuzzed
from tests.fuzz.json_api import HOST
from tests.fuzz.kept import NAME, Kept
from tests.fuzz.oracles import Oracle
from tests.fuzz.raw_cases import CANARY, Case, End
from tests.fuzz.requests import Answer, Headers, Sent

ID = b"0f0e0d0c-0b0a-4908-8706-050403020100"
REFUSAL = b'{"errors":[{"code":"DENIED","message":"no"}]}'
SENT = Sent("GET", b"/v2/x/tags/list", [(b"host", b"x")])


def answer(status: int = 403, body: bytes = REFUSAL, headers: Headers | None = None, **facts: Any) -> Answer:
    """A good refusal of ``/v2/``, but for what is given."""
    kept: Headers = [
        (b"x-request-id", ID),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    return Answer(status, kept if headers is None else headers, body, is_complete=True, **facts)


def test_a_good_answer_has_no_fault() -> None:
    """Nothing is cried about without reason."""
    line = b'{"time":"x","level":"info","event":"http_request"}\n'
    assert list(oracles.faults(SENT, answer(log=line))) == []


@pytest.mark.parametrize(
    ("oracle", "faulty"),
    [
        (oracles.is_answered, answer(failure="RuntimeError: boom")),
        (oracles.is_answered, Answer()),
        (oracles.is_answered, replace(answer(), is_complete=False)),
        (oracles.is_quick, answer(seconds=5.1)),
        (oracles.is_no_failure, answer(500)),
        (oracles.is_no_failure, answer(502)),
        (oracles.keeps_its_insides, answer(body=b"Traceback (most recent call last)")),
        (oracles.keeps_its_insides, answer(body=b"moorage.services.images.Image object")),
        (oracles.is_well_formed, answer(headers=[(b"location", b"/x\r\nset-cookie: y")])),
        (oracles.is_well_formed, answer(headers=[(b"content-length", b"3")])),
        (oracles.names_its_request, answer(headers=[])),
        (oracles.names_its_request, answer(headers=[(b"x-request-id", b"1")])),
        (oracles.speaks_its_dialect, answer(body=b"denied")),
        (oracles.speaks_its_dialect, answer(body=b'{"errors":[]}')),
        (oracles.speaks_its_dialect, answer(body=b'{"__type":"AccessDeniedException","message":"no"}')),
        (oracles.logs_no_fault, answer(log=b'{"event":"request_failed"}\n')),
        (oracles.logs_no_fault, answer(log=b'{"event":"response_broke_off"}\n')),
        (oracles.logs_no_fault, answer(log=b'{"event":"x"}\r\n')),
        (oracles.logs_no_fault, answer(log=b"Traceback (most recent call last):\n")),
        (oracles.logs_no_fault, answer(log=b'{"event":\n')),
        (oracles.leaves_no_trace, answer(traces=["tags went from 0 to 1"])),
    ],
)
def test_an_oracle_catches_its_fault(oracle: Oracle, faulty: Answer) -> None:
    """It says so itself, and so does the whole judgement."""
    assert oracle(SENT, faulty)
    assert list(oracles.faults(SENT, faulty))


def test_a_json_refusal_must_be_one_of_the_api() -> None:
    """The other face's envelope does not do."""
    sent = Sent("POST", b"/", [])
    assert oracles.speaks_its_dialect(sent, answer(400))
    told = answer(400, b'{"__type":"SerializationException","message":"no"}')
    assert oracles.speaks_its_dialect(sent, told) is None


# --- Faults planted around the application -------------------------------------------------------------------

Plant = Callable[[Settings, Any, Any, Any], Any]


async def raise_an_error(_settings: Settings, _scope: Any, _receive: Any, _send: Any) -> None:
    """Nobody catches it."""
    raise RuntimeError("boom")


async def wait_for_ever(_settings: Settings, _scope: Any, _receive: Any, _send: Any) -> None:
    """No answer comes."""
    await asyncio.get_running_loop().create_future()


async def refuse(_settings: Settings, _scope: Any, _receive: Any, send: Any) -> None:
    """The good refusal."""
    made = answer()
    await send({"type": "http.response.start", "status": made.status, "headers": made.headers})
    await send({"type": "http.response.body", "body": made.body})


async def refuse_and_leave_a_row(settings: Settings, scope: Any, receive: Any, send: Any) -> None:
    """It says no and does it."""
    database = connect(settings.data_dir / "metadata.db")
    database.execute("INSERT INTO manifest (digest, media_type, content) VALUES ('x', 'y', x'00')")
    database.close()
    await refuse(settings, scope, receive, send)


async def refuse_and_leave_a_file(settings: Settings, scope: Any, receive: Any, send: Any) -> None:
    """It says no and keeps the bytes."""
    (settings.data_dir / "uploads" / "00" / ("0" * 32)).write_bytes(b"left")
    await refuse(settings, scope, receive, send)


def judged(directory: Path, plant: Plant) -> list[str]:
    """What is found about one request to a server with a planted fault."""

    def build(settings: Settings) -> Any:
        real = wiring.build_app(settings)

        async def application(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await real(scope, receive, send)
            else:
                await plant(settings, scope, receive, send)

        return application

    async def run() -> list[str]:
        async with Fuzzed(directory, build) as server:
            sent = Sent("GET", b"/v2/", [(b"host", HOST.encode())])
            found = list(oracles.faults(sent, await server.send(sent)))
            return found + list(server.traces.contradictions())

    return uvloop.run(run())


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (raise_an_error, "raised RuntimeError"),
        (refuse_and_leave_a_row, "manifests went from 0 to 1"),
        (refuse_and_leave_a_file, "nothing names the file uploads/00/"),
    ],
)
def test_a_fault_of_the_application_is_caught(tmp_path: Path, plant: Plant, told: str) -> None:
    """Whatever hides behind a good answer shows, too."""
    assert told in " ".join(judged(tmp_path, plant))


def test_a_request_that_hangs_is_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzer itself goes on."""
    monkeypatch.setattr("tests.fuzz.application._WAITING", 0.2)
    assert judged(tmp_path, wait_for_ever) == ["raised nothing, and hangs"]


def test_a_good_refusal_of_the_application_passes(tmp_path: Path) -> None:
    """The faults above are not found everywhere."""
    assert judged(tmp_path, refuse) == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE registry SET repository_count = 7", "a registry miscounts"),
        ("UPDATE repository SET image_count = 7", "a repository miscounts"),
        ("UPDATE upload SET length = 7", "an upload miscounts"),
        ("DELETE FROM layer", "an image lacks a blob"),
        ("UPDATE image SET deleted_at = 1", "a tag names an image that is gone"),
        ("UPDATE image SET tag_count = 7", "an image miscounts"),
        ("DELETE FROM blob", "nothing names the file"),
    ],
)
def test_rows_that_contradict_each_other_are_found(tmp_path: Path, statement: str, told: str) -> None:
    """Each kind of damage to a registry with an image and an upload."""

    async def run() -> list[str]:
        async with Fuzzed(tmp_path) as server:
            tokens = await server.tokens()
            kept = Kept(Random(0), server.send, server.key, tokens[0])
            await kept.work()
            await kept.call("InitiateLayerUpload", repositoryName=NAME)
            assert list(server.traces.contradictions()) == []
            database = connect(server.settings.data_dir / "metadata.db")
            database.execute("PRAGMA foreign_keys = OFF")
            database.execute(statement)
            database.close()
            return list(server.traces.contradictions())

    assert told in " ".join(uvloop.run(run()))


# --- Answers on a connection ---------------------------------------------------------------------------------

GOOD = b"HTTP/1.1 200 OK\r\nx-request-id: " + ID + b"\r\ncontent-length: 2\r\n\r\nok"


def connection(
    received: bytes, *, requests: int | None = 1, data: bytes = b"GET / HTTP/1.1\r\n\r\n"
) -> list[str]:
    """What is found about these bytes."""
    case = Case([data], End.WAIT, is_slow=False, requests=requests)
    return list(answers.faults(case, Outcome(received, 0.1)))


def test_a_good_answer_on_a_connection_has_no_fault() -> None:
    """Nor have two to two requests."""
    assert connection(GOOD) == []
    assert connection(b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD + GOOD, requests=2) == []


@pytest.mark.parametrize(
    ("received", "told"),
    [
        (b"", "0 answers to 1"),
        (GOOD[:-1], "1 answers to 1"),
        (GOOD + GOOD, "2 answers to 1"),
        (GOOD + b"rubbish\r\n\r\n", "malformed"),
        (GOOD.replace(b"200 OK", b"500 Internal Server Error"), "status 500"),
        (GOOD.replace(b"x-request-id", b"x"), "no request id"),
        (GOOD.replace(b"content-length: 2", b"transfer-encoding: chunked"), "in chunks"),
        (GOOD.replace(b"x-request-id", b"a\x01b: c\r\nx-request-id"), "header"),
    ],
)
def test_a_fault_on_a_connection_is_caught(received: bytes, told: str) -> None:
    """Too few, too many, broken off or malformed."""
    assert told in " ".join(connection(received))


def test_a_request_that_hid_in_a_body_is_caught() -> None:
    """More answers than requests were sent, though nobody can tell how the spoilt one is read."""
    data = b"POST / HTTP/1.1\r\n\r\n" + CANARY
    assert "3 answers to at most 1" in " ".join(connection(GOOD * 3, requests=None, data=data))


def test_a_connection_that_hangs_is_caught() -> None:
    """The server did not end it."""
    case = Case([b"GET / HTTP/1.1\r\n\r\n"], End.WAIT, is_slow=False, requests=1)
    assert "hangs" in " ".join(answers.faults(case, Outcome(GOOD, 5.0, is_hung=True)))
