"""What an answer is held against. Each function returns quietly or says in one sentence what was found instead."""

from collections.abc import Sequence

from tests.conformance.suite.registry import Answer


class Failure(Exception):
    """The registry breaks the specification."""


class Unsupported(Exception):
    """The registry says, in a way that the specification allows, that it does not do this."""


def expect(holds: bool, otherwise: str) -> None:
    """Fails with the sentence unless the condition holds."""
    if not holds:
        raise Failure(otherwise)


def status(answer: Answer, *wanted: int, or_unsupported: Sequence[int] = ()) -> None:
    """One of the wanted statuses; one of the others means that the registry does not support the request."""
    if answer.status in or_unsupported:
        raise Unsupported(str(answer))
    expect(answer.status in wanted, f"{answer}; expected {' or '.join(map(str, wanted))}")


def header(answer: Answer, name: str, *wanted: str) -> str:
    """A header that must be there and, where values are given, must be one of them; returns it."""
    found = answer.header(name)
    expect(bool(found), f"{answer}: no {name} header")
    expect(not wanted or found in wanted, f"{answer}: {name} is {found!r}, expected {' or '.join(wanted)}")
    return found


def length(answer: Answer, wanted: int) -> None:
    """The Content-Length, exactly."""
    header(answer, "Content-Length", str(wanted))


def body(answer: Answer, wanted: bytes) -> None:
    """The body, byte for byte."""
    if answer.body != wanted:
        raise Failure(f"{answer.request.method} {answer.request.target}: {_difference(answer.body, wanted)}")


def _difference(found: bytes, wanted: bytes) -> str:
    same = next((at for at, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), None)
    where = f"first difference at byte {same}" if same is not None else "one is the beginning of the other"
    return f"the body has {len(found)} bytes, expected {len(wanted)}; {where}"


def digest(answer: Answer, wanted: str, *, required: bool) -> None:
    """Docker-Content-Digest: right wherever it is given, and given where ``required``."""
    if required or answer.header("Docker-Content-Digest"):
        header(answer, "Docker-Content-Digest", wanted)


def error_code(answer: Answer, *wanted: str) -> None:
    """One of the codes in the error body; a body in another form says nothing and is allowed."""
    codes = answer.error_codes
    expect(not codes or bool(set(codes) & set(wanted)), f"{answer}: expected {' or '.join(wanted)}")
