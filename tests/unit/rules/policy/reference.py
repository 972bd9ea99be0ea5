"""The same decisions, slowly: straight from the words of the IAM documentation, over plain JSON, with regular expressions.

Written without a look at how ``moorage.rules.policy`` does it, and sharing nothing with it: where both agree on
thousands of made-up policies, a mistake would have to have been made twice.
"""

import datetime as dt
import ipaddress
import re
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
KNOWN = (
    r"aws:(currenttime|epochtime|principal(account|arn|type)|requestedregion|securetransport|sourceip|tagkeys"
    r"|tokenissuetime|useragent|userid|username|(principal|request|resource)tag/.+)"
    r"|ecr:(accountsetting|imagedigest|imagetag|resourcetag/.+)|sts:(externalid|rolesessionname)"
)


@dataclass(frozen=True)
class Question:
    """Who wants what of whom, and every policy there is. ``names`` are the ways in which a policy may call them."""

    names: dict[str, str]
    context: dict[str, list[str]]
    action: str
    resource: str
    owner: str
    identity: list[Json]
    boundary: Json | None
    session: list[Json]
    resources: list[Json]


def answer(question: Question) -> bool:
    """Allowed or not, in the order of the flow charts."""
    names, everything = question.names, [*question.identity, *question.session, *question.resources]
    everything += [question.boundary] if question.boundary else []
    if any(effects(policy, question)["Deny"] for policy in everything):
        return False
    granted_to = {way for policy in question.resources for way in effects(policy, question)["Allow"]}
    if question.action == "ecr:GetAuthorizationToken":
        granted_to = set()
    if "account" not in names:
        return bool(granted_to)
    in_account = names["account"] == question.owner
    identity = any(effects(policy, question)["Allow"] for policy in question.identity) or "root" in names
    in_boundary = question.boundary is None or bool(effects(question.boundary, question)["Allow"])
    in_session = not question.session or any(effects(policy, question)["Allow"] for policy in question.session)
    if not in_account:
        return bool(granted_to) and identity and in_boundary and in_session
    if "session" in granted_to or "root" in granted_to:
        return True if "session" in granted_to else in_boundary and in_session
    if "user" in granted_to and in_session:
        return True
    return (identity or bool(granted_to - {"account"})) and in_boundary and in_session


def effects(policy: Json, question: Question) -> dict[str, set[str]]:
    """By Allow and Deny: in which ways the caller is meant by the statements that apply."""
    found: dict[str, set[str]] = {"Allow": set(), "Deny": set()}
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    for statement in statements:
        has_variables = policy.get("Version") == "2012-10-17"
        if applies(statement, question, has_variables):
            found[statement["Effect"]] |= ways(statement, question)
    return found


def applies(statement: Json, question: Question, has_variables: bool) -> bool:
    """Action, resource and all conditions."""
    is_allow = statement["Effect"] == "Allow"
    acts = [matches(one.lower(), question.action.lower()) for one in listed(statement, "Action")]
    if any(acts) == ("NotAction" in statement):
        return False
    on = [arn_matches(one, question.resource, question, has_variables) for one in listed(statement, "Resource")]
    if "NotResource" in statement and (True in on or (None in on and is_allow)):
        return False
    if "Resource" in statement and True not in on:
        return False
    met = [
        condition(operator, key, values if isinstance(values, list) else [values], question, has_variables)
        for operator, by_key in statement.get("Condition", {}).items()
        for key, values in by_key.items()
    ]
    return False not in met and not (is_allow and None in met)


def listed(statement: Json, name: str) -> list[str]:
    """The texts of an element or of its opposite."""
    value: str | list[str] = statement[name] if name in statement else statement.get(f"Not{name}", [])
    return [value] if isinstance(value, str) else value


def ways(statement: Json, question: Question) -> set[str]:
    """How the statement means the caller."""
    if "Principal" not in statement and "NotPrincipal" not in statement:
        return {"attached"}
    element = statement["Principal"] if "Principal" in statement else statement["NotPrincipal"]
    given = "*" if element == "*" else element["AWS"]
    texts = given if isinstance(given, list) else [given]
    named = {way for way, name in question.names.items() for text in texts if is_name(text, way, name)}
    named |= {"everybody"} if "*" in texts else set()
    if "Principal" in statement:
        return named
    counted = named - {"account"} if statement["Effect"] == "Deny" else named
    return set() if counted else {"everybody"}


def is_name(text: str, way: str, name: str) -> bool:
    """Accounts go by their number or by the ARN of their root."""
    if way in {"account", "root"}:
        return text in {name, f"arn:aws:iam::{name}:root"}
    return text == name


def condition(
    operator: str, key: str, wanted: list[str], question: Question, has_variables: bool
) -> bool | None:
    """True, False, or None for what cannot be known."""
    key = key.lower()
    if not re.fullmatch(KNOWN, key):
        return None
    form = re.fullmatch(r"(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?", operator)
    assert form is not None
    quantifier, base, if_exists = form.groups()
    values = question.context.get(key) or []
    if base == "Null":
        return any((one == "true") == (not values) for one in wanted)
    is_negated = "Not" in base
    if not values:
        return {"ForAllValues": True, "ForAnyValue": False}.get(quantifier, bool(if_exists) or is_negated)
    passes = []
    for value in values:
        hits = [single(base.replace("Not", ""), value, one, question, has_variables) for one in wanted]
        if is_negated:
            passes.append(False if True in hits else None if None in hits else True)
        else:
            passes.append(True in hits)
    if quantifier == "ForAllValues" or (is_negated and not quantifier):
        return False if False in passes else None if None in passes else True
    return True if True in passes else None if None in passes else False


def single(base: str, value: str, wanted: str, question: Question, has_variables: bool) -> bool | None:
    """One value of the request with one of the policy; None if the latter cannot be made out."""
    if base.startswith("Arn"):
        return arn_matches(wanted, value, question, has_variables)
    if base == "StringLike":
        return matches(wanted, value, question if has_variables else None)
    if base.startswith("String"):
        text = filled(wanted, question) if has_variables else wanted
        if base.endswith("IgnoreCase"):
            return None if text is None else value.lower() == text.lower()
        return None if text is None else value == text
    if base == "IpAddress":
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted)
    if base == "Bool":
        return value.lower() == wanted.lower()
    left, right = (number(value), number(wanted)) if base.startswith("Numeric") else (time(value), time(wanted))
    comparison = base.removeprefix("Numeric").removeprefix("Date")
    return {
        "Equals": left == right,
        "LessThan": left < right,
        "LessThanEquals": left <= right,
        "GreaterThan": left > right,
        "GreaterThanEquals": left >= right,
    }[comparison]


def number(text: str) -> float:
    """As it is written."""
    return float(text)


def time(text: str) -> float:
    """Seconds since the epoch."""
    return float(text) if text.isdigit() and len(text) > 4 else dt.datetime.fromisoformat(text).timestamp()


VARIABLE = r"\$\{([^}]*)\}"


def value_of(inside: str, question: Question) -> str | None:
    """What a variable stands for."""
    if inside in {"*", "?", "$"}:
        return inside
    key, _, default = inside.partition(",")
    values = question.context.get(key.strip().lower(), [])
    if len(values) == 1:
        return values[0]
    return default.strip().strip("'") if default else None


def filled(text: str, question: Question) -> str | None:
    """The text with its variables replaced."""
    found = [value_of(inside, question) for inside in re.findall(VARIABLE, text)]
    return None if None in found else re.sub(VARIABLE, lambda one: str(value_of(one[1], question)), text)


def matches(pattern: str, text: str, question: Question | None = None) -> bool | None:
    """Wildcards as a regular expression; with a question, its variables too, taken literally."""
    expression = ""
    for piece in re.split(r"(\$\{[^}]*\})" if question else r"(?!)", pattern):
        if question and piece.startswith("${"):
            value = value_of(piece[2:-1], question)
            if value is None:
                return None
            expression += re.escape(value)
        else:
            expression += re.escape(piece).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


def arn_matches(pattern: str, text: str, question: Question, has_variables: bool) -> bool | None:
    """Part by part; patterns of resources may end early."""
    if pattern == "*":
        return True
    asker = question if has_variables else None
    if asker and re.fullmatch(VARIABLE, pattern):
        return matches(pattern, text, asker)
    # A colon inside of a variable does not part anything.
    parts = re.sub(r"\$\{[^}]*\}", lambda one: one[0].replace(":", "\0"), pattern) if asker else pattern
    patterns = [part.replace("\0", ":") for part in parts.split(":", 5)]
    patterns += ["*"] * (6 - len(patterns))
    texts = text.split(":", 5)
    if len(texts) < 6:
        return False
    found = [matches(one, two, asker) for one, two in zip(patterns, texts, strict=True)]
    return False if False in found else None if None in found else True
