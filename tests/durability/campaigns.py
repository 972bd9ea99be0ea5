"""Many rounds on one data directory after the other, what they found together, and the lines that say it.

``kill_rounds`` and ``power_cuts`` are the programs. A round counts only if something was acknowledged in it and
requests were running when it was struck.
"""

import argparse
import random
import secrets
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.durability.at_rest import AtRest
from tests.durability.databases import Database
from tests.durability.journal import Violation
from tests.durability.power import Power
from tests.durability.rounds import Campaign, Round, rotation
from tests.durability.victim import RESTART_SECONDS, Kill, Seconds

#: Rounds without acknowledgements in flight that are played again before the load itself is called broken.
MOST_REPEATS = 10


@dataclass
class Tally:
    """What all rounds did and found together."""

    seconds: Seconds = field(default_factory=Seconds)
    passed: int = 0
    failed: int = 0
    repeated: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    things: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    at_rest: list[AtRest] = field(default_factory=list)

    def add(self, played: Round) -> None:
        """Count a round."""
        self.kills[played.kill] += 1
        self.acknowledged += played.acknowledged
        self.unanswered += played.unanswered
        self.passed += not played.broken
        self.failed += bool(played.broken)


@dataclass(frozen=True)
class Kind:
    """What one program does to the server.

    ``per_directory`` rounds share a data directory; then everything is verified and a new one begins, so that the
    disk suffices. ``power`` makes the disks of the directory with this number, where they are to be cut off.
    """

    name: str
    kills: Sequence[Kill]
    per_directory: int
    power: Callable[[Path, int], AbstractContextManager[Power]] | None = None
    #: PostgreSQL in place of SQLite, a server for each data directory.
    database: Callable[[Path], AbstractContextManager[Database]] | None = None
    #: Modules run in place of the ``moorage`` program, for servers that were damaged on purpose.
    module: tuple[str, ...] = ()
    #: Where its directories are made; None is the usual place.
    parent: Path | None = None
    is_over_when_broken: bool = False
    restart_seconds: float = RESTART_SECONDS


@dataclass(frozen=True)
class Plan:
    """What was asked for."""

    kind: Kind
    rounds: int
    seed: str
    directory: Path
    deadline: float


def play_all(plan: Plan, tally: Tally) -> None:
    """Every round, directory by directory, until the rounds or the time are used up."""
    size = plan.kind.per_directory
    for number, first in enumerate(range(0, plan.rounds, size)):
        directory = plan.directory / str(number)
        directory.mkdir(parents=True)
        failed_before = tally.failed
        try:
            play_some(plan, number, directory, min(size, plan.rounds - first), tally)
        except Violation as violation:
            report("the server could not go on", [str(violation)])
            tally.failed += 1
            return
        if tally.failed == failed_before:
            shutil.rmtree(directory)
        if time.monotonic() > plan.deadline or (tally.failed and plan.kind.is_over_when_broken):
            return


def play_some(plan: Plan, number: int, directory: Path, rounds: int, tally: Tally) -> None:
    """The rounds on one data directory, and the verification of everything at their end."""
    seed, kind = f"{plan.seed}/{number}", plan.kind
    with (
        kind.power(directory, number) if kind.power else nullcontext() as power,
        kind.database(directory) if kind.database else nullcontext() as database,
        Campaign(
            directory, free_address(), seed, tally.seconds, power, kind.module, kind.restart_seconds, database
        ) as campaign,
    ):
        for turn, kill in enumerate(rotation(random.Random(seed), kind.kills, rounds)):
            if time.monotonic() > plan.deadline:
                break
            played = campaign.play(kill)
            for _ in range(MOST_REPEATS):
                if played.counts:
                    break
                tally.repeated += 1
                played = campaign.play(kill)
            else:
                played.broken.append(f"no acknowledgement was in flight in {MOST_REPEATS} rounds")
            report(f"round {turn} of {directory} ({kill})", played.broken)
            tally.add(played)
            if played.broken and kind.is_over_when_broken:
                return
        broken, found = campaign.close()
        report(f"the verification of {directory}", broken)
        tally.failed += bool(broken)
        tally.things += len(campaign.journal.things())
        tally.at_rest.append(found)


def report(what: str, broken: list[str]) -> None:
    """Say which promises were broken."""
    if broken:
        sys.stdout.write(f"BROKEN in {what}:\n" + "".join(f"  {text}\n" for text in broken[:20]))
        if len(broken) > 20:
            sys.stdout.write(f"  and {len(broken) - 20} more\n")
        sys.stdout.flush()


def summary(tally: Tally, plan: Plan, took: float) -> str:
    """The counts, the times, and the line that counts."""
    played = tally.passed + tally.failed
    lines = [
        (
            f"struck: {', '.join(f'{kind} {count}x' for kind, count in sorted(tally.kills.items()))}; "
            f"{tally.repeated} rounds repeated for want of acknowledgements in flight"
        ),
        (
            f"acknowledged: {tally.acknowledged} requests; ended without an answer: {tally.unanswered}; "
            f"verified in the end: {tally.things} tags, images, blobs and repositories"
        ),
        f"restart to /readyz, s: {spread(tally.seconds.restart)} (promised: {plan.kind.restart_seconds:g})",
        f"orphans of a killed parent gone after, s: {spread(tally.seconds.orphans)}",
        f"killed worker replaced after, s: {spread(tally.seconds.replaced)}",
        f"ready after its database was back, s: {spread(tally.seconds.database)}",
        *(at_rest_line(found) for found in tally.at_rest),
        f"{took:.0f} s, {took / max(played, 1):.2f} s a round",
    ]
    if played < plan.rounds:
        lines.append(f"{plan.rounds - played} rounds were not played")
    return "\n".join([*lines, f"{tally.passed} passed, {tally.failed} failed"])


def at_rest_line(found: AtRest) -> str:
    """What lay in one data directory."""
    return (
        f"at rest: {found.blobs} blobs of {found.blob_bytes / 1e6:.0f} MB and {found.segments} segments, each with "
        f"its file; {found.files_without_rows} files of {found.bytes_without_rows / 1e6:.1f} MB without a row"
    )


def spread(seconds: list[float]) -> str:
    """Median, 95th percentile and maximum."""
    if not seconds:
        return "none"
    ranked = sorted(seconds)
    return (
        f"median {statistics.median(ranked):.2f}, p95 {ranked[int(0.95 * (len(ranked) - 1))]:.2f}, "
        f"max {ranked[-1]:.2f}, n {len(ranked)}"
    )


def free_address() -> str:
    """A loopback address whose port no outgoing connection can take while the server is down."""
    while True:
        address = ("127.0.0.1", random.SystemRandom().randrange(20_000, 30_000))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(address)
            return "{}:{}".format(*address)


def parse(kind: Kind, description: str, databases: Mapping[str, Kind] | None = None) -> Plan:
    """What the command line asks for; ``databases`` are the kinds that ``--database`` takes in place of the first."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=100, help="rounds that count (default 100)")
    parser.add_argument(
        "--seconds-limit", type=float, default=0, help="give up after this long (default 6 a round)"
    )
    parser.add_argument("--seed", default="", help="of an earlier run, to have its load and its order again")
    parser.add_argument(
        "--data-dir", type=Path, help="directory to work in, new or empty (default: a temporary one)"
    )
    if databases:
        parser.add_argument("--database", choices=["sqlite", *databases], default="sqlite")
    arguments = parser.parse_args()
    kind = (databases or {}).get(getattr(arguments, "database", ""), kind)
    limit = arguments.seconds_limit or 60 + 6 * arguments.rounds
    directory = arguments.data_dir or Path(tempfile.mkdtemp(prefix=f"moorage-{kind.name}-", dir=kind.parent))
    seed = arguments.seed or secrets.token_hex(8)
    return Plan(kind, arguments.rounds, seed, directory, time.monotonic() + limit)


def run(plan: Plan) -> int:
    """Play, sum up; the directory stays where a promise was broken. Returns the exit status."""
    began = time.monotonic()
    sys.stdout.write(f"seed {plan.seed}, {plan.rounds} rounds in {plan.directory}\n")
    sys.stdout.flush()
    tally = Tally()
    play_all(plan, tally)
    sys.stdout.write(summary(tally, plan, time.monotonic() - began) + "\n")
    is_fine = not tally.failed and tally.passed == plan.rounds
    if is_fine:
        shutil.rmtree(plan.directory)
    else:
        sys.stdout.write(f"data and logs: {plan.directory}\n")
    return 0 if is_fine else 1
