"""``python -m bench``: measures Moorage and its peers side by side on this machine.

    python -m bench                            a quick version, some minutes
    python -m bench --full                     10,000 images, longer, more rounds
    python -m bench --only tls-put             one figure, or several: --only upload-put tls-put
    python -m bench --list                     the ids

Both sides run on the same disk, one at a time, in alternated rounds; a figure is the median of its rounds. What is
read is compared with what was pushed before anything is timed, and any answer but the right one ends the run.
"""

import argparse
import datetime as dt
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from bench.compare import Comparison, Samples
from bench.figures import FIGURES, FULL, QUICK, Figure, Scale
from bench.records import RECORDS, Record
from bench.report import heading, table

RESULTS = Path(__file__).with_name("results")
PROGRAMS = ("registry", "moto_server", "wrk", "curl", "skopeo")


def main() -> int:
    """Parse arguments, measure, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures Moorage and its peers.")
    parser.add_argument("--full", action="store_true", help="10,000 images, longer, seven rounds")
    parser.add_argument("--rounds", type=int, help="rounds, instead of the version's own number")
    parser.add_argument("--only", nargs="+", metavar="ID", help="only these figures; --list names them")
    parser.add_argument("--list", action="store_true", help="print the ids and what they mean")
    parser.add_argument("--directory", type=Path, help="where the data goes (default: a temporary directory)")
    arguments = parser.parse_args()
    if arguments.list:
        sys.stdout.writelines(f"{figure.id:20} {figure.work}\n" for figure in FIGURES)
        sys.stdout.writelines(f"{record.id:20} {record.what}\n" for record in RECORDS)
        return 0
    figures, records = _chosen(arguments.only, parser)
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing and (figures or any(record.needs_programs for record in records)):
        parser.error(f"not on PATH: {', '.join(missing)}; .ci/run bench installs and finds them")
    # Installed modules are compiled once, as they are installed; a start that compiles them anew is nobody's.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    scale = FULL if arguments.full else QUICK
    if arguments.rounds:
        scale = replace(scale, rounds=arguments.rounds)
    text, samples = heading(scale), {}
    with tempfile.TemporaryDirectory(prefix="moorage-bench-", dir=arguments.directory) as directory:
        if figures:
            samples = Comparison(figures, scale, Path(directory)).run()
            text = f"{text}\n{table(samples, figures)}\n"
        for record in records:
            text += "\n".join(
                [f"\n`{record.id}`: {record.what}", *record.take(Path(directory) / record.id, scale), ""]
            )
    sys.stdout.write(f"{text}\nkept in {_keep(text, samples, scale)}\n")
    return 0


def _chosen(ids: list[str] | None, parser: argparse.ArgumentParser) -> tuple[list[Figure], list[Record]]:
    if ids is None:
        return FIGURES, RECORDS
    known = {figure.id for figure in FIGURES} | {record.id for record in RECORDS}
    unknown = set(ids) - known
    if unknown:
        parser.error(f"no such figure: {', '.join(sorted(unknown))}; --list names them")
    return [one for one in FIGURES if one.id in ids], [one for one in RECORDS if one.id in ids]


def _keep(text: str, samples: Samples, scale: Scale) -> Path:
    """Keep the table and every sample; returns the file with the table."""
    RESULTS.mkdir(exist_ok=True)
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%d-%H%M%S")
    raw = {
        figure: {name: [asdict(one) for one in many] for name, many in by_server.items()}
        for figure, by_server in samples.items()
    }
    (RESULTS / f"{stamp}.json").write_text(json.dumps({"scale": asdict(scale), "samples": raw}, indent=1))
    file = RESULTS / f"{stamp}.md"
    file.write_text(text)
    return file


if __name__ == "__main__":
    sys.exit(main())
