"""Answers as bytes on a connection, read as strictly as nobody else does, and what must hold for them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.fuzz import oracles
from tests.fuzz.raw_cases import Case, End
from tests.fuzz.requests import Answer, Sent

_STATUS: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [ -~]*")
#: Refusals of the connection itself, before there is a request that could have an id.
_PLAIN: Final = frozenset({400, 408, 417, 431, 501, 505})


class Malformed(Exception):
    """The bytes are no row of answers."""


@dataclass(frozen=True)
class Outcome:
    """What a connection brought back, and how it ended."""

    received: bytes
    seconds: float
    #: The server did not end the connection, although the client had nothing more to say.
    is_hung: bool = False
    #: The connection was reset, so that bytes may be lost.
    is_reset: bool = False


def read_answers(data: bytes, *, may_be_head: bool) -> Iterator[Answer]:
    """Each answer in a row of them; the last may be incomplete. Raises ``Malformed``.

    ``may_be_head``: answers to HEAD may be among them, which announce a length and have no body.
    """
    while data:
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            yield Answer(status=-1)
            return
        line, *lines = head.split(b"\r\n")
        matched = _STATUS.fullmatch(line)
        if matched is None:
            raise Malformed(f"status line {line[:200]!r}")
        answer = Answer(int(matched[1]), [_header(each) for each in lines])
        data = rest if answer.status < 200 else _take_body(answer, rest, may_be_head)
        yield answer


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon:
        raise Malformed(f"header {line[:200]!r}")
    return name.lower(), value.strip(b" ")


def _take_body(answer: Answer, rest: bytes, may_be_head: bool) -> bytes:
    length = answer.header(b"content-length")
    if answer.header(b"transfer-encoding") is not None:
        raise Malformed("an answer in chunks, though every length is known")
    if length is None and answer.status not in {204, 304}:
        raise Malformed(f"a {answer.status} without length")
    is_bodiless = answer.status in {204, 304} or (may_be_head and (not rest or rest.startswith(b"HTTP/1.1 ")))
    size = 0 if is_bodiless else int(length or 0)
    answer.body, answer.is_complete = rest[:size], len(rest) >= size
    return rest[size:]


def faults(case: Case, outcome: Outcome) -> Iterator[str]:
    """A sentence for everything that is wrong with what came back."""
    if outcome.is_hung:
        yield f"hangs: {outcome.seconds:.1f} s"
    may_be_head = b"HEAD" in case.data
    try:
        answers = list(read_answers(outcome.received, may_be_head=may_be_head))
    except Malformed as error:
        yield f"malformed: {error}"
        return
    for answer in answers:
        if answer.status > 0:
            yield from _answer_faults(answer, may_be_head)
    yield from _count_faults(case, outcome, [answer for answer in answers if not 0 < answer.status < 200])


def _answer_faults(answer: Answer, may_be_head: bool) -> Iterator[str]:
    if answer.status < 200:
        return
    sent = Sent("HEAD" if may_be_head or not answer.is_complete else "GET", b"/", [])
    is_plain = answer.status in _PLAIN and (answer.header(b"content-type") or b"").startswith(b"text/plain")
    checks = [oracles.keeps_its_insides, oracles.is_well_formed]
    if not is_plain and answer.header(b"cache-control") != b"no-store":
        checks.append(oracles.names_its_request)
    if answer.status != 505:
        checks.append(oracles.is_no_failure)
    for check in checks:
        found = check(sent, answer)
        if found:
            yield f"{check.__name__}: {found}"


def _count_faults(case: Case, outcome: Outcome, answers: list[Answer]) -> Iterator[str]:
    if case.requests is None:
        most = case.data.count(b"HTTP/") - case.data.count(b"?canary HTTP/")
        # A request line without version, or none at all, is refused once and ends the connection.
        if len(answers) > most + 1:
            yield f"{len(answers)} answers to at most {most} requests"
        return
    if outcome.is_reset or case.end is not End.WAIT:
        return
    # A request in the same segment as the last chunk before it is not read: the answer before it says so.
    is_told = bool(answers) and answers[-1].header(b"connection") == b"close" and b"chunked" in case.data
    is_enough = len(answers) == case.requests or (is_told and len(answers) < case.requests)
    if not is_enough or not answers[-1].is_complete:
        yield f"{len(answers)} answers to {case.requests} good requests: {[each.status for each in answers]}"
