"""The table: both servers, their ratios, the mark, and whether it is met."""

import os
import platform
import statistics
from pathlib import Path

from bench.compare import Samples
from bench.figures import GIBIBYTE, OURS, Figure, Mark, Scale, Unit
from bench.samples import Sample

_COLUMNS = (
    "figure", "work", "Moorage", "peer", "ratio", "at least",
    "CPU: Moorage", "peer", "ratio", "at most", "met?", "client's share",
)  # fmt: skip


def heading(scale: Scale) -> str:
    """What was measured where, and how to read it."""
    load = Path("/proc/loadavg").read_text().split()[0]
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), Linux {platform.release()}, Python "
        f"{platform.python_version()}; medians of {scale.rounds} alternated rounds; load before: {load}. "
        f"{scale.tags} images in {scale.repositories} repositories. Moorage: 2 workers, authentication, "
        "authorization, durable writes. distribution: bench/distribution.yml. Ratios are Moorage over the peer, of "
        "work a second and of the processor time of all of a server's processes for the same work; a push is given "
        "in seconds, and its ratio is of times.\n"
    )


def table(samples: Samples, figures: list[Figure]) -> str:
    """Markdown, a line per figure."""
    lines = [_line(_COLUMNS), _line(("---",) * len(_COLUMNS))]
    return "\n".join(lines + [_row(figure, samples[figure.id]) for figure in figures])


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(figure: Figure, by_server: dict[str, list[Sample]]) -> str:
    ours, theirs = by_server[OURS], by_server[figure.peer]
    faster = _rate(ours) / _rate(theirs)
    costlier = _cost(ours) / max(_cost(theirs), 1e-12)
    mark = figure.mark
    is_push = figure.unit is Unit.PUSH
    share = "/".join(f"{statistics.median(one.client_share for one in side):.0%}" for side in (ours, theirs))
    return _line(
        (
            f"`{figure.id}`",
            figure.work,
            _speed(figure.unit, ours),
            _speed(figure.unit, theirs),
            f"{1 / faster if is_push else faster:.2f}",
            _least(mark, is_push=is_push),
            _price(figure.unit, ours),
            _price(figure.unit, theirs),
            f"{costlier:.2f}",
            f"{mark.cpu:.1f}" if mark and mark.cpu else "",
            _verdict(mark, faster, costlier),
            share,
        )
    )


def _least(mark: Mark | None, *, is_push: bool) -> str:
    if mark is None:
        return ""
    return f"at most {1 / mark.rate:.2f}" if is_push else f"{mark.rate:.1f}"


def _verdict(mark: Mark | None, faster: float, costlier: float) -> str:
    if mark is None:
        return ""
    is_met = faster >= mark.rate and (mark.cpu is None or costlier <= mark.cpu)
    return "yes" if is_met else "**no**"


def _rate(samples: list[Sample]) -> float:
    return statistics.median(one.rate for one in samples)


def _cost(samples: list[Sample]) -> float:
    return statistics.median(one.server_cpu_per_unit for one in samples)


def _speed(unit: Unit, samples: list[Sample]) -> str:
    rate = _rate(samples)
    if unit is Unit.BYTE:
        return f"{rate / 1e6:,.0f} MB/s"
    return f"{1 / rate:.2f} s" if unit is Unit.PUSH else f"{rate:,.0f}/s"


def _price(unit: Unit, samples: list[Sample]) -> str:
    cost = _cost(samples)
    if unit is Unit.BYTE:
        return f"{cost * GIBIBYTE:.2f} s/GiB"
    return f"{cost:.2f} s" if unit is Unit.PUSH else f"{cost * 1e3:.3f} ms"
