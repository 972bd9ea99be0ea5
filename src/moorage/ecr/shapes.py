"""What the generated contract is made of: shapes, with their constraints, and the operations that take them.

Hand-written so that ``contract.py`` is data only. The words are those of the published service model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a value is on the wire."""

    STRUCTURE = "structure"
    LIST = "list"
    MAP = "map"
    STRING = "string"
    INTEGER = "integer"
    LONG = "long"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    BLOB = "blob"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class Shape:
    """One type of the contract. Fields that its kind does not have are empty or None."""

    name: str
    kind: Kind
    #: Structure: member name -> shape name, in the model's order.
    members: Mapping[str, str] = field(default_factory=dict)
    #: Structure: the members that must be given.
    required: tuple[str, ...] = ()
    #: List: the shape of an element. Map: the shape of a value.
    element: str = ""
    #: Map: the shape of a key.
    key: str = ""
    #: Least and most characters, elements, decoded bytes, or the value of a number.
    minimum: int | None = None
    maximum: int | None = None
    #: String: regular expression of the whole value; empty means any text.
    pattern: str = ""
    #: String: the values it may have; empty means any.
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: the names of its input and output shapes, and the errors it declares."""

    name: str
    input: str
    output: str
    errors: tuple[str, ...]


def structure(name: str, members: Mapping[str, str], required: tuple[str, ...] = ()) -> Shape:
    """A structure of named members."""
    return Shape(name, Kind.STRUCTURE, members=members, required=required)


def listing(name: str, element: str, minimum: int | None = None, maximum: int | None = None) -> Shape:
    """A list of one shape."""
    return Shape(name, Kind.LIST, element=element, minimum=minimum, maximum=maximum)


def mapping(name: str, key: str, element: str) -> Shape:
    """A map from one shape to another."""
    return Shape(name, Kind.MAP, key=key, element=element)


def text(
    name: str,
    *,
    minimum: int | None = None,
    maximum: int | None = None,
    pattern: str = "",
    values: tuple[str, ...] = (),
) -> Shape:
    """A string with a constraint."""
    return Shape(name, Kind.STRING, minimum=minimum, maximum=maximum, pattern=pattern, values=values)


def scalar(name: str, kind: Kind, minimum: int | None = None, maximum: int | None = None) -> Shape:
    """A number, boolean, blob or timestamp with bounds."""
    return Shape(name, kind, minimum=minimum, maximum=maximum)


def plain(kind: Kind, *names: str) -> tuple[Shape, ...]:
    """Shapes of one kind that no constraint holds."""
    return tuple(Shape(name, kind) for name in names)
