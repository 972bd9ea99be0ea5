"""Measures Moorage and the CNCF registry side by side on this machine.

    python -m bench                       a quick version, a few minutes
    python -m bench --full                more tags, longer, more rounds
    python -m bench --only "blob GET"     the loads whose name contains this

Both run on the same disk, one at a time, in alternated rounds; a figure is the median of its rounds. What is read
is compared with what was pushed before anything is timed, and any answer but the right one ends the run.
"""

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.loads import (
    GIBIBYTE,
    Sample,
    get_big_blobs,
    get_manifests,
    get_small_blobs,
    patch_big_blobs,
    put_big_blobs,
)
from bench.seeds import BigFile, Seeded, check, seed
from bench.servers import Runner, Server, distribution, moorage

RESULTS = Path(__file__).with_name("results")
PROGRAMS = ("registry", "wrk", "curl")
SERVERS: dict[str, Runner] = {"Moorage": moorage, "distribution": distribution}


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    rounds: int
    seconds: int
    repositories: int
    tags: int
    size: int = GIBIBYTE


QUICK = Scale(rounds=3, seconds=3, repositories=10, tags=200)
FULL = Scale(rounds=7, seconds=10, repositories=50, tags=1000)


@dataclass(frozen=True)
class Load:
    """A load by its name. Reads work on a seeded server, uploads on an empty one."""

    name: str
    is_big: bool
    read: Callable[[Server, Seeded, Scale], Sample] | None = None
    upload: Callable[[Server, list[BigFile]], Sample] | None = None
    at_once: int = 1


LOADS = [
    Load("manifest GET by tag, 1 connection", False, lambda s, d, k: get_manifests(s, d, 1, k.seconds)),
    Load("manifest GET by tag, 16 connections", False, lambda s, d, k: get_manifests(s, d, 16, k.seconds)),
    Load("blob GET 1 KiB, 16 connections", False, lambda s, d, k: get_small_blobs(s, d, 16, k.seconds)),
    Load("blob GET 1 GiB, one", True, lambda s, d, k: get_big_blobs(s, d, 1, k.size)),
    Load("blob GET 1 GiB, 4 at once", True, lambda s, d, k: get_big_blobs(s, d, 4, k.size)),
    Load("upload 1 GiB by PUT, one", True, upload=put_big_blobs),
    Load("upload 1 GiB by PUT, 4 at once", True, upload=put_big_blobs, at_once=4),
    Load("upload 1 GiB by chunked PATCH, one", True, upload=patch_big_blobs),
    Load("upload 1 GiB by chunked PATCH, 4 at once", True, upload=patch_big_blobs, at_once=4),
]

Samples = dict[str, dict[str, list[Sample]]]


def run(scale: Scale, loads: list[Load], directory: Path) -> Samples:
    """Every load on every server, round by round."""
    files = [BigFile.make(directory / f"big-{number}", scale.size) for number in range(4)]
    sys.stderr.write(f"{len(files)} files of {scale.size} bytes made\n")
    samples: Samples = {load.name: {name: [] for name in SERVERS} for load in loads}
    reads = [load for load in loads if load.read]
    seeded = {name: _seed(name, scale, files[0], directory) for name in SERVERS} if reads else {}
    for number in range(scale.rounds):
        names = sorted(SERVERS, reverse=bool(number % 2))
        for name in names if reads else ():
            _read(name, reads, seeded[name], scale, directory, samples)
        for load in loads:
            if load.upload:
                for name in names:
                    samples[load.name][name].append(_upload(name, load, files[: load.at_once], directory))
        sys.stderr.write(f"round {number + 1} of {scale.rounds} done\n")
    return samples


def _seed(name: str, scale: Scale, big: BigFile, directory: Path) -> Seeded:
    with SERVERS[name](directory / name) as server:
        seeded = seed(server, scale.repositories, scale.tags, [big])
        check(server, seeded)
        sys.stderr.write(f"{name}: {len(seeded.manifests)} images pushed, read back and compared\n")
        return seeded


def _read(
    name: str, reads: list[Load], seeded: Seeded, scale: Scale, directory: Path, samples: Samples
) -> None:
    with SERVERS[name](directory / name) as server:
        for load in reads:
            if load.read:
                samples[load.name][name].append(load.read(server, seeded, scale))


def _upload(name: str, load: Load, files: list[BigFile], directory: Path) -> Sample:
    """On an empty data directory, so that nothing is there already and the disk suffices."""
    if load.upload is None:
        raise ValueError(load.name)
    scratch = directory / f"{name}-uploads"
    try:
        with SERVERS[name](scratch) as server:
            return load.upload(server, files)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.sync()  # what is left to write must not fall into the next measurement


# --- Results -------------------------------------------------------------------------------------------------


def table(samples: Samples, loads: list[Load]) -> str:
    """Markdown: a line per load, both servers, their ratios, the load generator's share."""
    rows = [
        "| load | unit | Moorage | distribution | ratio | CPU: Moorage | CPU: distribution | CPU ratio | client's share |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join(rows + [_row(load, samples[load.name]) for load in loads])


def _row(load: Load, by_server: dict[str, list[Sample]]) -> str:
    unit, scale, cpu_unit, cpu_scale = (
        ("MB/s", 1e-6, "s/GiB", GIBIBYTE) if load.is_big else ("/s", 1, "ms", 1e3)
    )
    rates = {name: _median([one.rate for one in by_server[name]]) for name in SERVERS}
    costs = {name: _median([one.server_cpu_per_unit for one in by_server[name]]) for name in SERVERS}
    shares = "/".join(f"{_median([one.client_share for one in by_server[name]]):.0%}" for name in SERVERS)
    ours, theirs = rates["Moorage"], rates["distribution"]
    cost, their_cost = costs["Moorage"], costs["distribution"]
    return (
        f"| {load.name} | {unit} | {ours * scale:,.0f} | {theirs * scale:,.0f} | {ours / theirs:.2f} "
        f"| {cost * cpu_scale:.3f} {cpu_unit} | {their_cost * cpu_scale:.3f} {cpu_unit} "
        f"| {their_cost / max(cost, 1e-12):.2f} | {shares} |"
    )


def _median(values: list[float]) -> float:
    return statistics.median(values)


def write_results(text: str, samples: Samples, scale: Scale) -> Path:
    """Keep the table and every sample; returns the file with the table."""
    RESULTS.mkdir(exist_ok=True)
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%d-%H%M%S")
    raw = {
        load: {name: [asdict(one) for one in many] for name, many in by_server.items()}
        for load, by_server in samples.items()
    }
    (RESULTS / f"{stamp}.json").write_text(json.dumps({"scale": asdict(scale), "samples": raw}, indent=1))
    file = RESULTS / f"{stamp}.md"
    file.write_text(text)
    return file


def heading(scale: Scale) -> str:
    """What was measured where; the ratios are Moorage's lead: above 1 it is faster, or spends less."""
    load_average = Path("/proc/loadavg").read_text().split()[0]
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"medians of {scale.rounds} alternated rounds, load before: {load_average}. Moorage: authentication on, "
        "2 workers. distribution: no authentication, descriptors cached in memory. "
        "Ratios above 1 are in Moorage's favour. CPU is that of all of a server's processes, per request or GiB.\n"
    )


def main() -> int:
    """Parse arguments, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--full", action="store_true", help="1,000 tags, longer, seven rounds")
    parser.add_argument("--rounds", type=int, help="rounds, instead of the version's own number")
    parser.add_argument("--only", default="", help="only loads whose name contains this")
    parser.add_argument("--directory", type=Path, help="where the data goes (default: a temporary directory)")
    arguments = parser.parse_args()
    scale = FULL if arguments.full else QUICK
    if arguments.rounds:
        scale = Scale(arguments.rounds, scale.seconds, scale.repositories, scale.tags)
    loads = [load for load in LOADS if arguments.only in load.name]
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        parser.error(f"not on PATH: {', '.join(missing)}; .ci/run bench installs and finds them")
    text = heading(scale)
    with tempfile.TemporaryDirectory(prefix="moorage-bench-", dir=arguments.directory) as directory:
        samples = run(scale, loads, Path(directory))
    text = f"{text}\n{table(samples, loads)}\n"
    file = write_results(text, samples, scale)
    sys.stdout.write(f"{text}\nkept in {file}\n")
    return 0
