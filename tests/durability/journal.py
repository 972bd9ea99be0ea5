"""What the server acknowledged, kept outside of it, and from that what it may show now.

A thing (a tag, an image, a blob, a repository) has one value at a time. An operation that was answered happened
between its beginning and its end; one that got no answer may have happened at any time since, or not at all, but
all of it or nothing. So a value is allowed unless an acknowledged operation that began after its own end replaced it.
"""

import math
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

#: The value of a thing that is not there. A tag's value is the digest it names; of all else it is PRESENT.
ABSENT = "absent"
PRESENT = "present"


class Thing(NamedTuple):
    """What has a value: ``kind`` is tag, image, blob or repository; ``name`` is its name in the repository."""

    kind: str
    repository: str
    name: str = ""


@dataclass(slots=True, eq=False)
class Operation:
    """A request that gives things new values, all at once."""

    effects: Mapping[Thing, str]
    began: float
    ended: float = math.inf
    is_acknowledged: bool = False


def _settled(thing: Thing, value: str) -> Operation:
    return Operation({thing: value}, -math.inf, -math.inf, is_acknowledged=True)


class Violation(Exception):
    """The server broke a promise; the text says which."""


@dataclass(slots=True)
class Journal:
    """Every operation sent, by the things it changes. Any thread may use it."""

    acknowledged: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _operations: dict[Thing, list[Operation]] = field(default_factory=dict)
    _touched: set[Thing] = field(default_factory=set)

    def begin(self, effects: Mapping[Thing, str]) -> Operation:
        """Note an operation before its request is sent."""
        operation = Operation(dict(effects), time.monotonic())
        with self._lock:
            for thing in operation.effects:
                self._operations.setdefault(thing, [_settled(thing, ABSENT)]).append(operation)
                self._touched.add(thing)
        return operation

    def acknowledge(self, operation: Operation) -> None:
        """The operation was answered: done."""
        operation.ended = time.monotonic()
        operation.is_acknowledged = True
        self.count()

    def count(self) -> None:
        """Count an acknowledgement that gives no thing a value, as the 202 of an upload."""
        with self._lock:
            self.acknowledged += 1

    def refuse(self, operation: Operation) -> None:
        """The operation was answered: not done."""
        with self._lock:
            for thing in operation.effects:
                self._operations[thing].remove(operation)

    def allowed(self, thing: Thing) -> set[str]:
        """The values that the thing may have now."""
        with self._lock:
            operations = list(self._operations.get(thing, [_settled(thing, ABSENT)]))
        newest = max(operation.began for operation in operations if operation.is_acknowledged)
        return {operation.effects[thing] for operation in operations if operation.ended >= newest}

    def certain(self, thing: Thing) -> str | None:
        """The one value that the thing can have, None while that is not known."""
        allowed = self.allowed(thing)
        return allowed.pop() if len(allowed) == 1 else None

    def things(self) -> list[Thing]:
        """Everything that any operation was about."""
        with self._lock:
            return list(self._operations)

    def touched(self) -> list[Thing]:
        """What operations were about since it was settled last."""
        with self._lock:
            return list(self._touched)

    def settle(self, seen: Mapping[Thing, str]) -> list[str]:
        """Take what was read while nothing was running for the truth; returns what of it breaks a promise."""
        broken = [
            f"{thing} is {value}, not {' or '.join(sorted(allowed))}"
            for thing, value in seen.items()
            if value not in (allowed := self.allowed(thing))
        ]
        broken += [text for operation in self._unanswered(seen) if (text := self._tear(operation, seen))]
        with self._lock:
            for thing, value in seen.items():
                self._operations[thing] = [_settled(thing, value)]
                self._touched.discard(thing)
        return broken

    def _unanswered(self, things: Iterable[Thing]) -> list[Operation]:
        with self._lock:
            listed = [operation for thing in things for operation in self._operations.get(thing, ())]
        return list({id(one): one for one in listed if not one.is_acknowledged}.values())

    def _tear(self, operation: Operation, seen: Mapping[Thing, str]) -> str:
        """Says so when an unanswered operation did one thing and not the other."""
        done = {
            thing: seen[thing] == value
            for thing, value in operation.effects.items()
            if thing in seen and self._shows(operation, thing)
        }
        if len(set(done.values())) < 2:
            return ""
        return "half of an unanswered request is there: " + ", ".join(
            f"{thing} {'done' if is_done else 'not done'}" for thing, is_done in done.items()
        )

    def _shows(self, operation: Operation, thing: Thing) -> bool:
        """Whether the thing's value tells if the operation happened: nothing else gives or replaces that value."""
        with self._lock:
            others = [other for other in self._operations[thing] if other is not operation]
        latest = max(other.ended for other in others)
        return latest <= operation.began and others[-1].effects[thing] != operation.effects[thing]
