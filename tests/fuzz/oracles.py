"""What must hold for every answer, whatever was sent. Each oracle gives a sentence for a fault, or nothing."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from tests.fuzz.requests import Answer, Sent

Oracle = Callable[[Sent, Answer], str | None]

#: A request may take so long, in seconds.
PATIENCE: Final = 5.0

#: What says that something is not built, and what says that it is to be tried again.
DOCUMENTED: Final = frozenset({501, 503})

#: Events that only a fault of ours writes.
FAULTS: Final = ("request_failed", "response_broke_off", "library_message", "Traceback", '"level":"error"')
_FAULT: Final = re.compile("|".join(map(re.escape, FAULTS)))

_INSIDES: Final = re.compile(
    rb'Traceback|File "|\.py\b|pysqlite3|sqlalchemy|msgspec|<object at|moorage\.[a-z]+\.', re.IGNORECASE
)
_REQUEST_ID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_HEADER_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_HEADER_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_BODILESS: Final = frozenset({204, 304})


def is_answered(_sent: Sent, answer: Answer) -> str | None:
    """Every request has an answer, and nothing is raised into the server."""
    if answer.failure:
        return f"raised {answer.failure}"
    if answer.status == 0:
        return "no answer"
    return None if answer.is_complete else "the answer breaks off"


def is_quick(_sent: Sent, answer: Answer) -> str | None:
    """Nothing hangs."""
    return f"took {answer.seconds:.1f} s" if answer.seconds > PATIENCE else None


def is_no_failure(_sent: Sent, answer: Answer) -> str | None:
    """No status of 500 and more but those that are documented."""
    if answer.status >= 500 and answer.status not in DOCUMENTED:
        return f"status {answer.status}"
    return None


def keeps_its_insides(_sent: Sent, answer: Answer) -> str | None:
    """No traceback, module or class of ours shows in an error's body."""
    found = _INSIDES.search(answer.body) if answer.status >= 400 else None
    return f"the body shows {found.group()!r}" if found else None


def is_well_formed(sent: Sent, answer: Answer) -> str | None:
    """Headers are those of HTTP, and the length is that of the body."""
    for name, value in answer.headers:
        if not (_is_name(name) and _HEADER_VALUE.fullmatch(value)):
            return f"header {name!r}: {value!r}"
    length = answer.header(b"content-length")
    if length is None or sent.method == "HEAD" or answer.status in _BODILESS:
        return None
    if int(length) != len(answer.body):
        return f"content-length {length!r} before {len(answer.body)} bytes"
    return None


@lru_cache(maxsize=256)
def _is_name(name: bytes) -> bool:
    """Remembered: a server knows few names of headers, and each answer has ten of them."""
    return _HEADER_NAME.fullmatch(name) is not None


def names_its_request(_sent: Sent, answer: Answer) -> str | None:
    """Every answer carries a request id, in the header of its face."""
    found = answer.header(b"x-request-id") or answer.header(b"x-amzn-requestid") or b""
    return None if _REQUEST_ID.fullmatch(found) else "no request id"


def speaks_its_dialect(sent: Sent, answer: Answer) -> str | None:
    """A refusal has the form that the clients of its face read."""
    if answer.status < 400 or sent.method == "HEAD":
        return None
    kind = answer.header(b"content-type") or b""
    path = sent.target.partition(b"?")[0]
    path = unquote_to_bytes(path) if b"%" in path else path
    if answer.status == 416 and answer.header(b"content-range") is not None and not answer.body:
        problem = None
    elif path == b"/v2" or path.startswith(b"/v2/"):
        # ECR: who is not known gets one sentence.
        is_challenge = answer.status == 401 and answer.body == b"Not Authorized\n"
        problem = None if is_challenge else _oci_problem(kind, answer.body)
    elif path.startswith(b"/downloads/"):
        problem = None if kind.startswith(b"text/plain") and answer.body else "no sentence"
    elif kind.startswith(b"text/xml"):
        problem = None if answer.body.startswith(b"<ErrorResponse") else "no ErrorResponse"
    else:
        problem = _json_problem(kind, answer.body)
    return f"{problem}: {answer.body[:200]!r}" if problem else None


def _oci_problem(kind: bytes, body: bytes) -> str | None:
    try:
        (error,) = msgspec.json.decode(body)["errors"]
        is_told = error["code"].isupper() and isinstance(error["message"], str)
    except (ValueError, KeyError, TypeError, AttributeError):
        return "not the envelope of the distribution-spec"
    return None if is_told and kind.startswith(b"application/json") else "not an error of the distribution-spec"


def _json_problem(kind: bytes, body: bytes) -> str | None:
    try:
        error = msgspec.json.decode(body)
        is_told = bool(error["__type"]) and isinstance(error["message"], str)
    except (ValueError, KeyError, TypeError):
        return "no error of the JSON API"
    return None if is_told and b"json" in kind else "not told as JSON"


def logs_no_fault(_sent: Sent, answer: Answer) -> str | None:
    """The log tells of no fault, and each of its lines is one line of printable JSON."""
    for line in answer.log.decode("utf-8", "replace").split("\n"):
        if _FAULT.search(line):
            return f"log: {line[:2000]}"
        if line and not (line.isprintable() and _is_json(line)):
            return f"log line {line[:200]!r}"
    return None


def _is_json(line: str) -> bool:
    try:
        msgspec.json.decode(line)
    except ValueError:
        return False
    return True


def leaves_no_trace(_sent: Sent, answer: Answer) -> str | None:
    """A refused request changes nothing."""
    return "; ".join(answer.traces) or None


ORACLES: Final[tuple[Oracle, ...]] = (
    is_answered,
    is_quick,
    is_no_failure,
    keeps_its_insides,
    is_well_formed,
    names_its_request,
    speaks_its_dialect,
    logs_no_fault,
    leaves_no_trace,
)


def faults(sent: Sent, answer: Answer) -> Iterator[str]:
    """A sentence for everything that is wrong with an answer."""
    if not answer.status:
        # The rest would only say again that there is nothing.
        yield is_answered(sent, answer) or "no answer"
        return
    for oracle in ORACLES:
        if sent.is_cut and oracle is is_answered and not answer.failure:
            continue  # Whoever went away waits for nothing.
        found = oracle(sent, answer)
        if found:
            yield f"{oracle.__name__}: {found}"
