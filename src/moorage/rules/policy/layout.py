"""A policy's text as ECR answers with it: laid out anew, whatever the layout that was sent.

Two spaces for each level, `` : `` behind a name, lists in one line up to the objects in them (``[ "a", "b" ]``,
``[ {`` … ``} ]``), the elements in IAM's order. Source: the sample of SetRepositoryPolicy in ECR's API reference.
"""

import json
from collections.abc import Iterable
from typing import Final

from moorage.domain import json_document

_POLICY: Final = ("Version", "Id", "Statement")
_STATEMENT: Final = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)


def lay_out(text: str) -> str:
    """The same policy in ECR's layout, for a text that ``document.parse`` accepted.

    Nothing but layout and order changes: what was one value stays one, what was a list stays a list.
    """
    members = json_document.load_object(text.encode())
    given = members.get("Statement")
    if isinstance(given, list):
        members["Statement"] = [_ordered(one, _STATEMENT) for one in given]
    else:
        members["Statement"] = _ordered(given, _STATEMENT)
    return _render(_ordered(members, _POLICY), "\n")


def _ordered(value: object, names: Iterable[str]) -> object:
    return {name: value[name] for name in names if name in value} if isinstance(value, dict) else value


def _render(value: object, newline: str) -> str:
    """``newline`` ends a line and indents the next one as deep as the value stands."""
    if isinstance(value, dict):
        return _render_object(value, newline)
    if isinstance(value, list):
        return f"[ {', '.join(_render(one, newline) for one in value)} ]" if value else "[ ]"
    return json.dumps(value, ensure_ascii=False)


def _render_object(members: dict[str, object], newline: str) -> str:
    if not members:
        return "{ }"
    inner = f"{newline}  "
    lines = (
        f"{json.dumps(name, ensure_ascii=False)} : {_render(value, inner)}" for name, value in members.items()
    )
    return f"{{{inner}{f',{inner}'.join(lines)}{newline}}}"
