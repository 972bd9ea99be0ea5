"""Texts of a policy that stand for others: wildcards, policy variables, ARNs part by part.

``*`` is any run of characters, ``?`` exactly one. In policies of 2012-10-17, ``${key}`` is the request's value of
that condition key, ``${key, 'text'}`` that text if there is none, and ``${*}``, ``${?}``, ``${$}`` are these
characters themselves; what a variable brings in is never a wildcard. In older policies all of that is plain text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Final

from moorage.rules import wildcards
from moorage.rules.policy.invalid import PolicyInvalid
from moorage.rules.policy.request import Request

#: Whether a text matches; None where a variable of the pattern has no value, so that nothing matches it.
Match = Callable[[str, Request], bool | None]

# Characters that mean themselves though they look like wildcards. Halves of surrogate pairs cannot occur in JSON
# that was accepted, nor in what is decoded from the wire, so these two stand for nothing else.
_LITERALLY: Final = str.maketrans("*?", "\udc2a\udc3f")
_PARTS: Final = 6


@dataclass(frozen=True, slots=True)
class Variable:
    """``${key}``, the key in small letters; ``default`` stands in when the request has not exactly one value."""

    key: str
    default: str | None


#: Plain text and variables in turn.
Template = tuple[str | Variable, ...]


def template(text: str, *, with_variables: bool, has_wildcards: bool = True) -> Template:
    """Cut a text at its variables. Raises ``PolicyInvalid`` for one that is not well formed.

    With wildcards, whatever is to be taken literally is marked so; without, everything is literal.
    """
    if not with_variables or "${" not in text:
        return (text,)
    first, *others = text.split("${")
    parts: list[str | Variable] = [first]
    for other in others:
        inside, brace, after = other.partition("}")
        if not brace:
            raise PolicyInvalid(f"a policy variable is not closed in {text[:100]!a}")
        found = _variable(inside, has_wildcards=has_wildcards)
        parts.append(found)
        parts.append(after)
    return _joined(parts)


def _variable(inside: str, *, has_wildcards: bool) -> str | Variable:
    if inside in {"*", "?", "$"}:
        return inside.translate(_LITERALLY) if has_wildcards else inside
    key, comma, default = inside.partition(",")
    key, default = key.strip().lower(), default.strip()
    if not key or any(character in key for character in "*?'\" $"):
        raise PolicyInvalid(f"{inside[:100]!a} is not a policy variable")
    if not comma:
        return Variable(key, None)
    if len(default) < 2 or default[0] != "'" or default[-1] != "'":
        raise PolicyInvalid(f"the default of the policy variable {key[:100]!a} must stand in single quotes")
    return Variable(key, default[1:-1])


def _joined(parts: list[str | Variable]) -> Template:
    """Neighbouring plain texts made one."""
    joined: list[str | Variable] = [""]
    for part in parts:
        last = joined[-1]
        if isinstance(part, str) and isinstance(last, str):
            joined[-1] = last + part
        else:
            joined.append(part)
    return tuple(part for part in joined if part != "") or ("",)


def render(parts: Template, request: Request, *, has_wildcards: bool = True) -> str | None:
    """The text with the request's values for its variables; None if one has no value and no default."""
    text = ""
    for part in parts:
        value = part if isinstance(part, str) else _value(part, request, has_wildcards=has_wildcards)
        if value is None:
            return None
        text += value
    return text


def _value(variable: Variable, request: Request, *, has_wildcards: bool) -> str | None:
    """The one value of a variable. Keys with several values cannot be variables, as in IAM."""
    values = request.values(variable.key)
    value = values[0] if values is not None and len(values) == 1 else variable.default
    return value.translate(_LITERALLY) if has_wildcards and value is not None else value


def is_plain(parts: Template) -> bool:
    """Whether there is no variable in it, so that it is the same for every request."""
    return len(parts) == 1 and isinstance(parts[0], str)


def covers(pattern: str, text: str) -> bool:
    """Whether a rendered pattern covers the whole text."""
    # What variables brought in may be far longer than the text, and is not worth a look then.
    if len(pattern) - pattern.count("*") > len(text):
        return False
    if "*" in text or "?" in text:
        text = text.translate(_LITERALLY)
    return wildcards.matches(pattern, text, question_mark=True)


def like(text: str, *, with_variables: bool) -> Match:
    """What ``StringLike`` does with one value. Raises ``PolicyInvalid``."""
    return _like(template(text, with_variables=with_variables))


def _like(parts: Template) -> Match:
    if is_plain(parts):
        pattern = str(parts[0])
        return lambda value, _: covers(pattern, value)

    def match(value: str, request: Request) -> bool | None:
        rendered = render(parts, request)
        return None if rendered is None else covers(rendered, value)

    return match


def arn(text: str, *, with_variables: bool) -> Match:
    """What ``ArnLike`` does with one value: six parts, each compared by itself, so that ``*`` does not leave its part.

    A single variable may stand for a whole ARN. Raises ``PolicyInvalid`` for what cannot be an ARN.
    """
    parts = template(text, with_variables=with_variables)
    if len(parts) == 1 and isinstance(parts[0], Variable):
        return _whole(parts)
    pieces = _pieces(parts)
    if len(pieces) != _PARTS or pieces[0] != ("arn",):
        raise PolicyInvalid(f"{text[:100]!a} is not an ARN")
    return _by_parts(pieces)


def resource(text: str, *, with_variables: bool) -> Match:
    """One value of Resource. ``*`` is everything; an ARN that ends early goes on with ``*`` in the parts it lacks.

    Raises ``PolicyInvalid`` for what is neither.
    """
    if text == "*":
        return lambda *_: True
    parts = template(text, with_variables=with_variables)
    pieces = _pieces(parts)
    if pieces[0] != ("arn",) or len(pieces) == 1:
        raise PolicyInvalid(f"the resource {text[:100]!a} is neither an ARN nor *")
    pieces += [("*",)] * (_PARTS - len(pieces))
    return _by_parts(pieces)


def _whole(parts: Template) -> Match:
    def match(value: str, request: Request) -> bool | None:
        rendered = render(parts, request, has_wildcards=False)
        return None if rendered is None else rendered == value

    return match


def _pieces(parts: Template) -> list[Template]:
    """The parts of an ARN, cut at the colons of the policy itself, not at those a variable may bring in."""
    pieces: list[list[str | Variable]] = [[]]
    for part in parts:
        if isinstance(part, Variable):
            pieces[-1].append(part)
            continue
        first, *others = part.split(":")
        pieces[-1].append(first)
        pieces.extend([other] for other in others)
    head, tail = pieces[: _PARTS - 1], pieces[_PARTS - 1 :]
    if tail:
        between: list[list[str | Variable]] = [[":"]] * (len(tail) - 1)
        with_colons = chain.from_iterable(zip(tail, [*between, []], strict=True))
        head.append(list(chain.from_iterable(with_colons)))
    return [_joined(piece) for piece in head]


def _by_parts(pieces: list[Template]) -> Match:
    """Compare part by part; in the usual cases with one look at the whole text."""
    texts = [str(piece[0]) for piece in pieces if is_plain(piece)]
    if len(texts) == _PARTS and all(map(_is_literal, texts[:-1])):
        return _under(":".join([*texts[:-1], ""]), texts[-1])
    literal = [
        (place, str(piece[0]))
        for place, piece in enumerate(pieces)
        if is_plain(piece) and _is_literal(str(piece[0]))
    ]
    places = {place for place, _ in literal}
    others = [
        (place, _like(piece)) for place, piece in enumerate(pieces) if place not in places and piece != ("*",)
    ]
    return lambda value, request: _match_parts(literal, others, value, request)


def _is_literal(text: str) -> bool:
    """Whether it matches itself alone, with nothing in it that was marked."""
    return not any(character in text for character in "*?\udc2a\udc3f")


def _under(head: str, last: str) -> Match:
    """Wildcards, if any, only behind the last colon."""
    whole = head + last
    if _is_literal(last):
        return lambda value, _: value == whole
    if last[-1] == "*" and _is_literal(last[:-1]):
        start = whole[:-1]
        return lambda value, _: value.startswith(start)
    length = len(head)
    return lambda value, _: value.startswith(head) and covers(last, value[length:])


def _match_parts(
    literal: list[tuple[int, str]], others: list[tuple[int, Match]], value: str, request: Request
) -> bool | None:
    """Literal parts first; only where they all fit are variables looked up."""
    parts = value.split(":", _PARTS - 1)
    if len(parts) != _PARTS:
        return False
    for place, text in literal:
        if parts[place] != text:
            return False
    is_open = False
    for place, match in others:
        found = match(parts[place], request)
        if found is None:
            is_open = True
        elif not found:
            return False
    return None if is_open else True
