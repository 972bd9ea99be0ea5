"""One round: load, a kill in the middle of it, a restart, and a look at what is left of each promise."""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StuckError
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Self

from tests.durability import at_rest, verification
from tests.durability.at_rest import AtRest
from tests.durability.databases import Database
from tests.durability.journal import Journal, Violation
from tests.durability.power import Power
from tests.durability.victim import RESTART_SECONDS, Kill, Seconds, Victim
from tests.durability.wire import InFlight, NoAnswer, Wire
from tests.durability.writers import SHARED, Writer, prepare_shared

WRITERS = 6

#: The server outlives these.
_DATABASE = frozenset({Kill.DATABASE, Kill.DATABASE_CRASH})

#: How long the load runs before the kill, and how long it goes on where the server does.
LOAD_SECONDS = (0.1, 0.5)
AFTER_SECONDS = 0.15

#: A round without an acknowledgement or a running request by then is broken.
FIRST_ACKNOWLEDGEMENT_SECONDS = 15.0
WRITER_SECONDS = 40.0


@dataclass
class Round:
    """What one round did and found."""

    kill: Kill
    acknowledged: int = 0
    in_flight: int = 0
    unanswered: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def counts(self) -> bool:
        """Whether acknowledgements were in flight: without them a kill proves nothing."""
        is_hit = self.unanswered > 0 if self.kill in {Kill.WORKER, *_DATABASE} else self.in_flight > 0
        return bool(self.broken) or (self.acknowledged > 0 and is_hit)


class Campaign(AbstractContextManager["Campaign"]):
    """Rounds on one data directory, from an empty one to the inspection of what lies in it."""

    def __init__(
        self,
        directory: Path,
        address: str,
        seed: str,
        seconds: Seconds,
        power: Power | None = None,
        module: Sequence[str] = (),
        restart_seconds: float = RESTART_SECONDS,
        database: Database | None = None,
    ) -> None:
        """``power`` can be cut where the data lie; ``module`` is run in place of the ``moorage`` program.

        ``database`` is PostgreSQL's; without it the metadata are in SQLite beside the blobs.
        """
        self.journal = Journal()
        data_dir = power.data_dir if power else directory / "data"
        self.victim = Victim(
            data_dir,
            directory / "server.log",
            address,
            seconds,
            module,
            restart_seconds,
            environment=database.environment if database else None,
        )
        self._database = database
        self._power = power
        self._chance = random.Random(seed)
        self._seed = seed
        self._in_flight = InFlight()
        self._wires: list[Wire] = []
        self._writers: list[Writer] = []

    def __enter__(self) -> Self:
        """Start the server for the first time and prepare its repositories."""
        try:
            self.victim.start(is_counted=False)
            credentials = self.victim.credentials
            self._wires = [Wire(self.victim.address, credentials, self._in_flight) for _ in range(WRITERS)]
            for wire in self._wires:
                wire.log_in()
            shared = prepare_shared(self._wires[0], self.journal, WRITERS, self._seed)
            self._writers = [
                Writer(str(number), wire, self.journal, shared, self._seed)
                for number, wire in enumerate(self._wires)
            ]
        except BaseException:
            self.victim.end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.victim.end()

    def play(self, kill: Kill) -> Round:
        """One round. What it found broken is in the result; the server runs again afterwards, if it can."""
        played = Round(kill)
        before = self.journal.acknowledged, self._in_flight.broken
        self._renew_connections()
        try:
            self._load_and_kill(played)
        except (Violation, StuckError) as error:
            played.broken.append(f"{error!r}")
        played.acknowledged = self.journal.acknowledged - before[0]
        played.unanswered = self._in_flight.broken - before[1]
        for writer in self._writers:
            played.broken += writer.broken
            writer.broken.clear()
        played.broken += self._look()
        return played

    def _renew_connections(self) -> None:
        for wire in self._wires:
            wire.close()

    def _load_and_kill(self, played: Round) -> None:
        stop = Event()
        pool = ThreadPoolExecutor(WRITERS)
        try:
            running = [pool.submit(writer.run, stop) for writer in self._writers]
            self._await_moment()
            played.in_flight = self._in_flight.running
            self._in_flight.is_without_database = played.kill in _DATABASE
            self._in_flight.is_orphaned = played.kill not in {Kill.WORKER, *_DATABASE}
            self._strike(played.kill)
            self._after_kill(played.kill)
            stop.set()
            for one in running:
                one.result(WRITER_SECONDS)
        finally:
            stop.set()
            pool.shutdown(wait=False)
        self._in_flight.is_without_database = False
        if played.kill is Kill.WORKER:
            self.victim.await_replacement()
        elif played.kill in _DATABASE:
            return
        else:
            if self._power is not None:
                self._power.restore()
                self._in_flight.is_cut = False
            self._in_flight.is_orphaned = False
            self.victim.start()

    def _strike(self, kill: Kill) -> None:
        """When the power goes the processes go as well, but only after the last moment of the disk.

        A sync that runs just then may report success although its journal was thrown away, which no real cut lets
        anyone see: so no answer counts that is not here when the cut begins.
        """
        if self._power is not None:
            self._in_flight.is_cut = True
            self._power.cut()
        if self._database is not None and kill in _DATABASE:
            self._database.strike(kill)
        else:
            self.victim.kill(kill, self._chance)

    def _await_moment(self) -> None:
        """Wait for the time of the kill: some load, an acknowledgement in this round, requests that run."""
        before = self.journal.acknowledged
        began = time.monotonic()
        at = began + self._chance.uniform(*LOAD_SECONDS)
        while time.monotonic() < at or self.journal.acknowledged == before or not self._in_flight.running:
            if time.monotonic() - began > FIRST_ACKNOWLEDGEMENT_SECONDS:
                raise Violation("nothing was acknowledged under load")
            time.sleep(0.001)

    def _after_kill(self, kill: Kill) -> None:
        if kill is Kill.WORKER:
            self.victim.check_alive()
            time.sleep(AFTER_SECONDS)
        elif self._database is not None and kill in _DATABASE:
            time.sleep(AFTER_SECONDS)
            self._database.restart()
            self.victim.await_database()
        else:
            self.victim.await_end()

    def _look(self) -> list[str]:
        """Read what changed, and how far each unfinished upload is."""
        self._renew_connections()
        repositories = [SHARED, *(writer.repository for writer in self._writers)]
        broken = [text for writer in self._writers for text in _tried(writer.uploads.check)]
        return broken + _tried(lambda: verification.check_touched(self.journal, self._wires, repositories))

    def close(self) -> tuple[list[str], AtRest]:
        """Look at everything once more, resume every upload, stop the server in order, inspect what lies there."""
        self._renew_connections()
        broken = _tried(self._resume_all)
        broken += _tried(lambda: verification.check_everything(self.journal, self._wires))
        try:
            self.victim.stop()
        except Violation as violation:
            return [*broken, str(violation)], AtRest()
        found = at_rest.inspect(self.victim.data_dir, self._database)
        return broken + found.broken, found

    def _resume_all(self) -> list[str]:
        return [text for writer in self._writers for text in writer.resume_all()]


def _tried(look: Callable[[], list[str]]) -> list[str]:
    try:
        return look()
    except (Violation, NoAnswer) as error:
        return [f"{error!r}"]


def rotation(chance: random.Random, all_kinds: Sequence[Kill], rounds: int) -> Sequence[Kill]:
    """Each kind as often as the others, in a random order that never kills two workers in a row."""
    order: list[Kill] = []
    while len(order) < rounds:
        kinds = list(all_kinds)
        chance.shuffle(kinds)
        if not (order and kinds[0] is Kill.WORKER and order[-1] is Kill.WORKER):
            order += kinds
    return order[:rounds]
