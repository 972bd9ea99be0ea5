"""Calls whose operation or input stands in the query string: presigned URLs, and ``Action=…&Version=…``.

A presigned URL of this API carries its input as the client library flattens a JSON body: scalars as text, lists
by repetition, structures as JSON or as the Python literal that botocore writes. What comes out is the same as
``wire.parse_json`` gives, for ``validation.validate`` to check.
"""

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from moorage.domain.errors import ConflictingParameters, MalformedRequest, OperationMissing, OperationUnknown
from moorage.ecr import wire
from moorage.ecr.contract import API_VERSION, OPERATIONS, SHAPES, TARGET_PREFIX
from moorage.ecr.shapes import Kind, Operation

#: Most characters of a structure that is written as a Python literal.
MAX_LITERAL: Final = 65_536

_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?")
_BOOLEANS: Final = {"true": True, "True": True, "false": False, "False": False}

# What a literal of dicts, lists, strings, numbers, True, False and None consists of, with the escapes that
# ``repr`` writes. Anything else never reaches the parser. A surrogate's escape is not among them.
_ESCAPE: Final = r"\\(?:[\\'\"nrt]|x[0-9a-f]{2}|u(?!d[89a-f])[0-9a-f]{4}|U00(?:0[1-9a-f]|10)[0-9a-f]{4})"
_TOKEN: Final = re.compile(
    rf"""\s*+(?:
        (?P<open>[\[{{]) | (?P<close>[\]}}]) | [,:] | (?:True|False|None)\b
        | -?[0-9]{{1,20}}(?:\.[0-9]{{1,20}})?(?![\w.])
        | '(?:[^'\\\n\r]|{_ESCAPE})*+' | "(?:[^"\\\n\r]|{_ESCAPE})*+"
    )\s*+""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Query:
    """A query string taken apart: what names the operation, and the input in order. Signature parameters are gone."""

    action: str | None
    version: str | None
    input: Sequence[tuple[str, str]]


def split(parameters: Sequence[tuple[str, str]]) -> Query:
    """Take decoded query parameters apart. Raises ``ConflictingParameters`` when Action or Version is repeated."""
    plain = [(name, value) for name, value in parameters if not name.startswith("X-Amz-")]
    named = [(name, value) for name, value in plain if name in ("Action", "Version")]
    if len({name for name, _ in named}) != len(named):
        raise ConflictingParameters(text="Action and Version may be given once each")
    by_name = dict(named)
    given = [(name, value) for name, value in plain if name not in by_name]
    return Query(by_name.get("Action"), by_name.get("Version"), given)


def choose_operation(target: str | None, query: Query) -> Operation:
    """The operation that ``X-Amz-Target``, else ``Action``, names. Version matters to ``Action`` alone.

    Raises ``OperationMissing``, ``OperationUnknown``, ``ConflictingParameters`` when both name different ones.
    """
    if target is None and query.action is None:
        raise OperationMissing
    if target is None:
        return _operation(query.action or "", is_known=query.version in (None, API_VERSION))
    prefix, _, name = target.partition(".")
    operation = _operation(name, is_known=prefix == TARGET_PREFIX, shown=target)
    if query.action not in (None, operation.name):
        raise ConflictingParameters(text="X-Amz-Target and Action name different operations")
    return operation


def _operation(name: str, *, is_known: bool, shown: str = "") -> Operation:
    operation = OPERATIONS.get(name) if is_known else None
    if operation is None:
        raise OperationUnknown(operation=(shown or name)[:200])
    return operation


def read_input(operation: Operation, query: Query, *, has_body: bool) -> dict[str, Any]:
    """The input that stands in the query string, by the contract's types; unknown names are ignored.

    Raises ``ConflictingParameters`` for input in query and body together or a scalar given twice, and
    ``MalformedRequest`` for a value that is not of its type.
    """
    if has_body and query.input:
        raise ConflictingParameters(text="The input of a call stands in its body or in its query, not in both")
    members = SHAPES[operation.input].members
    given: dict[str, Any] = {}
    for name, text in query.input:
        shape = SHAPES[members[name]] if name in members else None
        if shape is None:
            continue
        if shape.kind is Kind.LIST:
            given.setdefault(name, []).append(_read(SHAPES[shape.element].kind, name, text))
        elif name in given:
            raise ConflictingParameters(text=f"Parameter '{name}' is given more than once")
        else:
            given[name] = _read(shape.kind, name, text)
    return given


def _read(kind: Kind, name: str, text: str) -> object:
    reader = _READERS.get(kind)
    if reader is None:
        return text
    try:
        return reader(text)
    except (ValueError, KeyError) as error:
        raise MalformedRequest(text=f"Query parameter '{name}' is not of type {kind}") from error


def _read_integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _read_number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _read_structure(text: str) -> object:
    """JSON, else a Python literal. Raises ``ValueError``."""
    if not text:
        raise ValueError("empty")
    try:
        return wire.parse_json(text.encode())
    except MalformedRequest:
        return _read_literal(text)


def _read_literal(text: str) -> object:
    """A Python literal of plain values. Raises ``ValueError``."""
    if len(text) > MAX_LITERAL or not _is_plain_literal(text):
        raise ValueError(text[:100])
    try:
        return ast.literal_eval(text.strip())
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(text[:100]) from error


def _is_plain_literal(text: str) -> bool:
    """Whether the text consists of a plain literal's tokens and opens no more than ``wire.MAX_DEPTH`` levels."""
    position, depth = 0, 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return False
        depth += (token["open"] is not None) - (token["close"] is not None)
        if depth > wire.MAX_DEPTH:
            return False
        position = token.end()
    return True


_READERS: Final[dict[Kind, Callable[[str], object]]] = {
    Kind.INTEGER: _read_integer,
    Kind.LONG: _read_integer,
    Kind.DOUBLE: _read_number,
    Kind.TIMESTAMP: _read_number,
    Kind.BOOLEAN: _BOOLEANS.__getitem__,
    Kind.STRUCTURE: _read_structure,
    Kind.MAP: _read_structure,
}
