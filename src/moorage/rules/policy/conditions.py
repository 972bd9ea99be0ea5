"""The Condition element: operators over keys, with IAM's answers for keys that are absent or have several values.

An operator holds for a key when the request's value matches one of the policy's values; a negated one when it
matches none. If the request has not the key, a plain operator is false, a negated one true, ``…IfExists`` true,
``ForAllValues:`` true and ``ForAnyValue:`` false (with ``IfExists`` too). Of several values of the request, one has
to match, or none for a negated operator; with ``ForAllValues:`` each has to pass, with ``ForAnyValue:`` one.
Source: "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context keys".
"""

import operator as compare
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

from moorage.rules.policy import keys, patterns, values
from moorage.rules.policy.invalid import PolicyInvalid
from moorage.rules.policy.patterns import Match
from moorage.rules.policy.request import Request

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key: ``operator`` and ``key`` as written, ``name`` the key in small letters."""

    operator: str
    key: str
    name: str
    is_known: bool
    #: Whether one value of the request matches one of the policy's.
    matches: Match
    is_negated: bool
    #: Whether each value has to pass, rather than one.
    needs_all: bool
    when_absent: bool

    def holds(self, request: Request) -> bool | None:
        """Whether it is met; None if that cannot be told."""
        if not self.is_known:
            return None
        found = request.values(self.name)
        if not found:
            return self.when_absent
        if len(found) > 1:
            return self._holds_for_several([self.matches(value, request) for value in found])
        matched = self.matches(found[0], request)
        if self.is_negated:
            return None if matched is None else not matched
        return bool(matched)

    def _holds_for_several(self, matched: list[bool | None]) -> bool | None:
        """Not to be equal to something without a value is no ground to allow: that cannot be told."""
        if not self.is_negated:
            return (all if self.needs_all else any)(matched)
        decides = self.needs_all
        if decides in matched:
            return not decides
        return None if None in matched else decides


@dataclass(frozen=True, slots=True)
class Presence:
    """The operator Null: whether the request has the key at all."""

    operator: str
    key: str
    name: str
    is_known: bool
    #: ``{True}`` if it must be absent, ``{False}`` if present.
    absent: frozenset[bool]

    def holds(self, request: Request) -> bool | None:
        """Whether it is met; None if that cannot be told."""
        return (not request.values(self.name)) in self.absent if self.is_known else None


#: Makes the comparison with all values that a policy gives; the flag says whether variables are variables.
Maker = Callable[[list[str], bool], Match]


def compile_block(
    block: object, *, with_variables: bool, with_claims: bool
) -> tuple[Condition | Presence, ...]:
    """The conditions of a statement, all of which have to be met. Raises ``PolicyInvalid``."""
    return tuple(
        _condition(operator, key, _texts(key, given), with_variables=with_variables, with_claims=with_claims)
        for operator, by_key in _members(block, "Condition")
        for key, given in _members(by_key, operator)
    )


def _members(value: object, name: str) -> Iterator[tuple[str, object]]:
    if not isinstance(value, dict):
        raise PolicyInvalid(f"{name[:100]!a} must be an object")
    yield from value.items()


def _texts(key: str, given: object) -> list[str]:
    """The values for one key. Numbers and truths may stand without quotes."""
    found = [_text(key, one) for one in (given if isinstance(given, list) else [given])]
    if not found:
        raise PolicyInvalid(f"the condition on {key[:100]!a} has no value")
    return found


def _text(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise PolicyInvalid(f"a value of the condition on {key[:100]!a} is no text, number or truth")


def _condition(
    operator: str, key: str, texts: list[str], *, with_variables: bool, with_claims: bool
) -> Condition | Presence:
    if not key:
        raise PolicyInvalid("a condition has no key")
    name = key.lower()
    is_known = keys.is_known(name, with_claims=with_claims)
    quantifier, base, if_exists = _dissect(operator)
    if base == "null" and not quantifier and not if_exists:
        return Presence(operator, key, name, is_known, frozenset(map(_truth, texts)))
    if base not in _OPERATORS:
        raise PolicyInvalid(f"there is no condition operator {operator[:100]!a}")
    make, is_negated = _OPERATORS[base]
    return Condition(
        operator,
        key,
        name,
        is_known,
        make(texts, with_variables),
        is_negated,
        needs_all=quantifier == _ALL or (is_negated and quantifier != _ANY),
        when_absent=quantifier == _ALL or (quantifier != _ANY and (if_exists or is_negated)),
    )


_ALL: Final = "forallvalues:"
_ANY: Final = "foranyvalue:"


def _dissect(operator: str) -> tuple[str, str, bool]:
    """Set operator, operator in small letters, and whether it ends in IfExists."""
    rest = operator.lower()
    quantifier = next((one for one in (_ALL, _ANY) if rest.startswith(one)), "")
    base = rest.removeprefix(quantifier)
    return quantifier, base.removesuffix("ifexists"), base.endswith("ifexists")


def _any_of(matches: list[Match]) -> Match:
    """Whether one of them matches; None if none does, but one has a variable without a value."""
    if len(matches) == 1:
        return matches[0]

    def match(value: str, request: Request) -> bool | None:
        is_open = False
        for one in matches:
            found = one(value, request)
            if found:
                return True
            is_open = is_open or found is None
        return None if is_open else False

    return match


def _equals(texts: list[str], with_variables: bool, fold: Callable[[str], str] = str) -> Match:
    templates = [patterns.template(text, with_variables=with_variables, has_wildcards=False) for text in texts]
    if all(map(patterns.is_plain, templates)):
        wanted = frozenset(fold(str(parts[0])) for parts in templates)
        return lambda value, _: fold(value) in wanted
    return _any_of([_equals_rendered(parts, fold) for parts in templates])


def _equals_rendered(parts: patterns.Template, fold: Callable[[str], str]) -> Match:
    def match(value: str, request: Request) -> bool | None:
        rendered = patterns.render(parts, request, has_wildcards=False)
        return None if rendered is None else fold(value) == fold(rendered)

    return match


def _equals_ignoring_case(texts: list[str], with_variables: bool) -> Match:
    return _equals(texts, with_variables, str.casefold)


def _like(texts: list[str], with_variables: bool) -> Match:
    return _any_of([patterns.like(text, with_variables=with_variables) for text in texts])


def _arn(texts: list[str], with_variables: bool) -> Match:
    return _any_of([patterns.arn(text, with_variables=with_variables) for text in texts])


def _ordered(
    read: Callable[[str], Decimal | None], what: str, is_so: Callable[[Decimal, Decimal], bool]
) -> Maker:
    """Compares the request's number or time, on the left, with the policy's."""

    def make(texts: list[str], _with_variables: bool) -> Match:
        wanted = [_read(read, text, what) for text in texts]

        def match(value: str, _request: Request) -> bool:
            found = read(value)
            return found is not None and any(is_so(found, one) for one in wanted)

        return match

    return make


def _read(read: Callable[[str], T | None], text: str, what: str) -> T:
    found = read(text)
    if found is None:
        raise PolicyInvalid(f"{text[:100]!a} is no {what}")
    return found


def _truth(text: str) -> bool:
    return _read(values.truth, text, "true or false")


def _bool(texts: list[str], with_variables: bool) -> Match:
    for text in texts:
        if not (with_variables and "${" in text):
            _truth(text)
    return _equals_ignoring_case(texts, with_variables)


def _binary(texts: list[str], _with_variables: bool) -> Match:
    wanted = frozenset(_read(values.octets, text, "base64") for text in texts)
    return lambda value, _: values.octets(value) in wanted


def _address(texts: list[str], _with_variables: bool) -> Match:
    ranges = [_read(values.network, text, "address or range of addresses") for text in texts]

    def match(value: str, _request: Request) -> bool:
        found = values.address(value)
        return found is not None and any(
            version == found[0] and found[1] & mask == base for version, mask, base in ranges
        )

    return match


def _table() -> dict[str, tuple[Maker, bool]]:
    """Operators in small letters: how to compare, and whether not matching is what they want."""
    table: dict[str, tuple[Maker, bool]] = {"bool": (_bool, False), "binaryequals": (_binary, False)}
    negatable: dict[str, tuple[str, Maker]] = {
        "stringequals": ("stringnotequals", _equals),
        "stringequalsignorecase": ("stringnotequalsignorecase", _equals_ignoring_case),
        "stringlike": ("stringnotlike", _like),
        "ipaddress": ("notipaddress", _address),
        "arnequals": ("arnnotequals", _arn),
        "arnlike": ("arnnotlike", _arn),
        "numericequals": ("numericnotequals", _ordered(values.number, "number", compare.eq)),
        "dateequals": ("datenotequals", _ordered(values.instant, "time", compare.eq)),
    }
    for name, (opposite, make) in negatable.items():
        table |= {name: (make, False), opposite: (make, True)}
    orders = {
        "lessthan": compare.lt,
        "lessthanequals": compare.le,
        "greaterthan": compare.gt,
        "greaterthanequals": compare.ge,
    }
    for name, is_so in orders.items():
        table[f"numeric{name}"] = (_ordered(values.number, "number", is_so), False)
        table[f"date{name}"] = (_ordered(values.instant, "time", is_so), False)
    return table


_OPERATORS: Final = _table()
