"""Load, slowness and stopping, against a real server on loopback; prints what it measured and judges it.

    python -m tests.load              the short version, of CI: counts, dialects, truncation, memory, wide ratios
    python -m tests.load --full       the promises themselves, with a layer of 10 GiB
    python -m tests.load slow drain   some of it

The generators run on the same machine in processes of their own; their processor time is said.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.load import drain, layer, newcomers, overload, slow
from tests.load.generators import crew
from tests.load.report import Report
from tests.load.target import prepared

PARTS = ("slow", "overload", "newcomers", "drain", "layer")

SHORT_SLOW = slow.Size(200, 40, 20, seconds=4, windows=1, most_ratio=5, least_bound=0.1)
FULL_SLOW = slow.Size(1000, 200, 100, seconds=20, windows=3, most_ratio=2, least_bound=0)
SHORT_OVERLOAD = overload.Size(seconds=5, connections=1200, least_share=0.4, most_mebibytes=150)
FULL_OVERLOAD = overload.Size(seconds=20, connections=1600, least_share=0.8, most_mebibytes=150)
#: More than the queues of connections take that are not accepted yet.
SHORT_NEWCOMERS = overload.Size(seconds=5, connections=6000, least_share=0.25, most_mebibytes=150)
FULL_NEWCOMERS = overload.Size(seconds=20, connections=8000, least_share=0.8, most_mebibytes=150)


def main() -> int:
    """The exit code: 0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description="Load, slowness and stopping.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them when none is named")
    parser.add_argument("--full", action="store_true", help="the promises themselves rather than wide guards")
    parser.add_argument("--mebibytes", type=int, help="size of the layer; 256, with --full 10240")
    chosen = parser.parse_args()
    report = Report()
    report.say(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as directory:
        perform(Path(directory), chosen, report)
    report.say("every promise was kept" if not report.broken else f"{len(report.broken)} promises were broken")
    return bool(report.broken)


def perform(directory: Path, chosen: argparse.Namespace, report: Report) -> None:
    """Run the parts that were chosen, each on a server of its own."""
    parts, is_full = chosen.parts or PARTS, chosen.full
    with crew(3) as generators:
        if "slow" in parts:
            with prepared(directory / "slow") as (served, target):
                slow.measure(served, target, generators, FULL_SLOW if is_full else SHORT_SLOW, report)
        for kind in ("push", "describe") if "overload" in parts else ():
            with prepared(directory / kind) as (served, target):
                size = FULL_OVERLOAD if is_full else SHORT_OVERLOAD
                overload.measure(served, target, generators, kind, size, report)
        if "newcomers" in parts:
            with prepared(directory / "newcomers") as (served, target):
                size, seconds = (FULL_NEWCOMERS, 1.5) if is_full else (SHORT_NEWCOMERS, 10.0)
                newcomers.measure(served, target, generators, "describe", size, seconds, report)
        if "drain" in parts:
            rounds = 5 if is_full else 1
            drain.measure(directory / "drain", generators, 100, rounds, report)
            drain.measure(directory / "hurry", generators, 100, rounds, report, is_hurried=True)
        if "layer" in parts:
            with prepared(directory / "layer") as (served, target):
                mebibytes = chosen.mebibytes or (10240 if is_full else 256)
                layer.measure(served, target, generators, mebibytes, report)


if __name__ == "__main__":
    sys.exit(main())
