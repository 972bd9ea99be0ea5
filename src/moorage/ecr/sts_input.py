"""What a call of STS asks for, read from its form."""

import re
from collections.abc import Mapping
from typing import Final

from moorage.domain import errors
from moorage.domain.iam import RoleArn
from moorage.services.sessions import Wanted, invalid

#: Parameters that change what a session is, and that are not done: to leave them out silently would be wrong.
_UNBUILT: Final = (
    "SerialNumber",
    "TokenCode",
    "SourceIdentity",
    "TransitiveTagKeys",
    "ProvidedContexts",
    "ProviderId",
)
_MEMBER: Final = re.compile(r"(Tags|PolicyArns)\.member\.([1-9][0-9]{0,2})\.(Key|Value|arn)")

Form = Mapping[str, str]


def read_form(parameters: list[tuple[str, str]]) -> dict[str, str]:
    """The parameters by name. Raises ``MalformedRequest`` for one that comes twice."""
    form: dict[str, str] = {}
    for name, value in parameters:
        if name in form:
            raise errors.MalformedRequest(text=f"The parameter '{name[:64]}' is given more than once")
        form[name] = value
    return form


def read_wanted(action: str, form: Form) -> Wanted:
    """The session of a role that is asked for. Raises ``InvalidRequest``, ``NotBuilt``."""
    _refuse_unbuilt(action, form)
    members = _members(form)
    return Wanted(
        role=RoleArn.parse(require(form, "RoleArn")),
        name=require(form, "RoleSessionName"),
        seconds=read_seconds(form),
        policy=form.get("Policy"),
        policy_arns=tuple(member.get("arn", "") for member in members["PolicyArns"]),
        tags=tuple((member.get("Key", ""), member.get("Value", "")) for member in members["Tags"]),
        external_id=form.get("ExternalId"),
    )


def read_own_seconds(action: str, form: Form) -> int | None:
    """How long a session of the caller itself shall last. Raises ``InvalidRequest``, ``NotBuilt``."""
    _refuse_unbuilt(action, form)
    return read_seconds(form)


def _refuse_unbuilt(action: str, form: Form) -> None:
    for name in form:
        family = name.partition(".")[0]
        if family in _UNBUILT:
            raise errors.NotBuilt(what=f"sts:{action} with {family}")


def require(form: Form, name: str) -> str:
    """A parameter that has to be there. Raises ``InvalidRequest``."""
    value = form.get(name)
    if not value:
        raise invalid(name[0].lower() + name[1:], "Member must not be null")
    return value


def read_seconds(form: Form) -> int | None:
    """``DurationSeconds``, if it is there. Raises ``InvalidRequest``."""
    text = form.get("DurationSeconds")
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,9}", text):
        raise invalid("durationSeconds", "Member must be an integer")
    return int(text)


def _members(form: Form) -> dict[str, list[dict[str, str]]]:
    """The lists of structures in the form, in the order of their numbers."""
    found: dict[str, dict[int, dict[str, str]]] = {"Tags": {}, "PolicyArns": {}}
    for name, value in form.items():
        match = _MEMBER.fullmatch(name)
        if match:
            found[match[1]].setdefault(int(match[2]), {})[match[3]] = value
    return {family: [by_number[number] for number in sorted(by_number)] for family, by_number in found.items()}
