"""Cuts the power under load, again and again, and looks whether the server kept every promise.

    python -m tests.durability.power_cuts --rounds 50

As ``kill_rounds``, but the data lie on disks of their own (``power``) that are cut off in the middle of the load,
PATCH requests in flight included, before the processes are killed. All that was not synced is lost. In every other
directory the database lies on a second disk.

    python -m tests.durability.power_cuts --prove-judge

damages the server on purpose, in one way after the other (``sabotage``), and passes only if each is noticed.
"""

import dataclasses
import shutil
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from tests.durability.campaigns import Kind, Plan, Tally, parse, play_all, run
from tests.durability.power import Power, may_mount, power
from tests.durability.sabotage import DAMAGES
from tests.durability.victim import Kill

#: Disks in memory are as good as any: what is lost is lost above them. Where it is too small, on the disk.
MEMORY = Path("/dev/shm")
NEEDED_BYTES = 4 * 1024**3

#: Rounds within which a damaged server has to be found out. Each was, within four, in every trial.
MOST_ROUNDS = 40


def disks(directory: Path, number: int) -> AbstractContextManager[Power]:
    """The disks of the data directory with this number."""
    return power(directory, is_apart=bool(number % 2))


KIND = Kind(
    "power",
    (Kill.POWER,),
    per_directory=25,
    power=disks,
    parent=MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > NEEDED_BYTES else None,
    restart_seconds=20.0,
)


def prove_judge(plan: Plan) -> int:
    """Damage the server in each way; returns 0 only if the judge noticed every time."""
    for damage in DAMAGES:
        directory = plan.directory / damage
        directory.mkdir()
        kind = dataclasses.replace(
            KIND,
            power=lambda place, _: power(place, is_apart=True),
            module=("tests.durability.sabotage", damage),
            is_over_when_broken=True,
        )
        tally = Tally()
        play_all(dataclasses.replace(plan, kind=kind, rounds=MOST_ROUNDS, directory=directory), tally)
        sys.stdout.write(f"{damage}: noticed {tally.failed}x, after {tally.passed} rounds unnoticed\n")
        if not tally.failed:
            return 1
    shutil.rmtree(plan.directory)
    return 0


def main() -> int:
    """See the module."""
    if not may_mount():
        return 0
    is_proof = "--prove-judge" in sys.argv
    if is_proof:
        sys.argv.remove("--prove-judge")
    plan = parse(KIND, "Cut the power under load and look whether the server kept every promise.")
    return prove_judge(plan) if is_proof else run(plan)


if __name__ == "__main__":
    sys.exit(main())
