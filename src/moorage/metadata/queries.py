"""Statements built once and run many times.

SQLAlchemy Core composes and compiles a statement the first time it is used; after that a run costs one call
of the database driver (``docs/adr/0003-statements-are-compiled-once.md``).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import BindParameter, Dialect, bindparam
from sqlalchemy.sql import ClauseElement

Result = TypeVar("Result")


class Compiled:
    """SQL text in one dialect, with the constants that the statement itself carries."""

    __slots__ = ("constants", "sql")

    def __init__(self, element: ClauseElement, dialect: Dialect) -> None:
        compiled: Any = element.compile(dialect=dialect)
        self.sql = str(compiled)
        self.constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}


class Statement:
    """A change: insert, update or delete."""

    __slots__ = ("_compiled", "element")

    def __init__(self, element: ClauseElement) -> None:
        self.element = element
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, dialect: Dialect) -> Compiled:
        """The statement's text for this dialect."""
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = Compiled(self.element, dialect)
        return found


class Query(Statement, Generic[Result]):
    """A select, or a change that returns rows; ``make`` turns the values of a row into a result."""

    __slots__ = ("make",)

    def __init__(self, element: ClauseElement, make: Callable[[Sequence[Any]], Result]) -> None:
        super().__init__(element)
        self.make = make


#: Values that one statement takes at most where it takes several.
SEVERAL = 16


def any_of(name: str) -> list[BindParameter[Any]]:
    """Room for ``SEVERAL`` values in a statement that is compiled once; ``batches`` fills it."""
    return [bindparam(place) for place in _places(name)]


def batches(name: str, values: Sequence[object]) -> Iterator[dict[str, object]]:
    """Parameters for as many runs as these values take; a place that is left has the last value once more."""
    for begin in range(0, len(values), SEVERAL):
        batch = values[begin : begin + SEVERAL]
        filled = [*batch, *[batch[-1]] * (SEVERAL - len(batch))]
        yield dict(zip(_places(name), filled, strict=True))


@cache
def _places(name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{number}" for number in range(SEVERAL))


def first(row: Sequence[Any]) -> Any:
    """Make a result of a row with a single value."""
    return row[0]
