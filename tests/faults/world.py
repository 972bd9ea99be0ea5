"""A server that fails on order, with everything that was pushed to it so far, and what is looked at after a failure."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.durability import at_rest, verification
from tests.durability.campaigns import free_address
from tests.durability.content import Content, ManifestFile
from tests.durability.journal import PRESENT, Journal, Thing
from tests.durability.uploads import expect
from tests.durability.victim import Seconds, Victim
from tests.durability.wire import Answer, InFlight, NoAnswer, Wire
from tests.durability.writers import Writer
from tests.faults.control import Control, Order
from tests.faults.scenarios import Middle, Scenario, Stage

#: How long a failure may let wait for itself: what happens beside an answer comes a little later.
REACHED_SECONDS = 10.0

#: How long ``/readyz`` may take to notice.
READINESS_SECONDS = 15.0


class World:
    """One server; ``broken`` of any test would be the next one's trouble, so each works in its own repository."""

    def __init__(
        self,
        directory: Path,
        module: tuple[str, ...] = ("tests.faults.launch",),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Everything that it writes is below ``directory``. Without ``module`` it is the ordinary program."""
        (directory / "control").mkdir(parents=True)
        self.control = Control(directory / "control")
        self.journal = Journal()
        self.in_flight = InFlight()
        self.victim = Victim(
            directory / "data",
            directory / "server.log",
            free_address(),
            Seconds(),
            (*module, str(directory / "control")) if module else (),
            restart_seconds=20.0,
            workers=1,
            environment=environment,
        )
        self._count = 0
        self.victim.start()
        self.wire = Wire(self.victim.address, self.victim.credentials, self.in_flight)
        self.wire.log_in()

    def end(self) -> None:
        """Leave no process and no connection behind, whatever happened."""
        self.wire.close()
        self.victim.end()

    def stage(self, scenario: Scenario) -> Stage:
        """A new repository, with content that nobody else pushes."""
        self._shorten_log(scenario.longest_log)
        self._count += 1
        writer = Writer(str(self._count), self.wire, self.journal, [], "faults")
        writer.chance = writer.uploads.chance = Middle()
        operation = self.journal.begin({Thing("repository", writer.repository): PRESENT})
        expect(self.wire.call("CreateRepository", {"repositoryName": writer.repository}), 200)
        self.journal.acknowledge(operation)
        content = Content.make(f"{writer.repository}/content", scenario.size)
        config = Content.make(f"{content.seed}/config", 100)
        return Stage(writer, content, ManifestFile.image(config, [content]), self.victim.data_dir)

    def make_ready(self, scenario: Scenario, stage: Stage) -> None:
        """Make what the scenario needs, and wait until nothing of that goes on any more."""
        left = self.segments()
        scenario.prepare(stage)
        self.settle(left)

    def segments(self) -> set[Path]:
        """The files of uploads that lie there."""
        return set((self.victim.data_dir / "uploads").glob("*/*"))

    def settle(self, left: set[Path]) -> None:
        """Wait until nothing goes on beside answers any more: of segments only those of before are left."""
        until = time.monotonic() + REACHED_SECONDS
        while time.monotonic() < until and not self.segments() <= left:
            time.sleep(0.005)

    def _shorten_log(self, longest: int) -> None:
        """Have the server start with an empty log before its own checkpoint would come in the middle of a test."""
        log = self.victim.data_dir / "metadata.db-wal"
        if log.stat().st_size > longest:
            self.victim.stop()
            self.restart()

    def attempt(self, act: Callable[[], object], order: Order | None = None) -> bool:
        """Do something while the order holds; whether every request of it got the ordinary answer."""
        self.in_flight.refusals.clear()
        self.in_flight.is_orphaned = True
        if order is not None:
            self.control.arm(order)
        try:
            act()
        except NoAnswer:
            return False
        finally:
            self.in_flight.is_orphaned = False
        return True

    def was_reached(self) -> bool:
        """Whether the failure that was ordered came about; waits for it a while."""
        until = time.monotonic() + REACHED_SECONDS
        while time.monotonic() < until:
            if any(event.startswith("FAILED") for event in self.control.events()):
                return True
            time.sleep(0.01)
        return False

    def await_readiness(self, word: str) -> None:
        """Wait until ``/readyz`` says so: ``ok`` with 200, or with 503 the name of what does not work."""
        until = time.monotonic() + READINESS_SECONDS
        while True:
            answer = self.wire.send("GET", "/readyz")
            if word in answer.body.decode().split():
                assert answer.status == (200 if word == "ok" else 503)
                return
            assert time.monotonic() < until, f"/readyz says {answer.body!r}, not {word}"
            time.sleep(0.1)

    def restart(self) -> None:
        """Start the server after all its processes ended."""
        self.wire.close()
        self.victim.start()

    def look(self, stage: Stage) -> list[str]:
        """The promises broken: of uploads, of everything touched, of the database, of the files under its rows."""
        broken = stage.writer.uploads.check() + self.look_at_image(stage)
        return broken + at_rest.inspect(self.victim.data_dir).broken

    def look_at_image(self, stage: Stage) -> list[str]:
        """The promises broken, as far as clients see them."""
        self.wire.close()
        return verification.check_touched(self.journal, [self.wire], [stage.repository])

    def unclean_refusals(self) -> list[str]:
        """The refusals since the last attempt that are not of the form that clients try again after."""
        return [
            f"{answer.status} {answer.headers.items()} {answer.body[:300]!r}"
            for answer in self.in_flight.refusals
            if not is_clean(answer)
        ]


def is_clean(answer: Answer) -> bool:
    """503 with Retry-After, in the dialect of the face that answers."""
    has_code = b'"UNAVAILABLE"' in answer.body or b'"ServiceUnavailable"' in answer.body
    return answer.status == 503 and answer.headers["Retry-After"] is not None and has_code
