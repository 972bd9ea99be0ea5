"""What a load found, as lines for people and as a verdict."""

import sys
from dataclasses import dataclass, field


@dataclass
class Report:
    """Figures that are printed, and promises that are judged."""

    broken: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """A line of the summary."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def judge(self, promise: str, *, is_kept: bool) -> None:
        """Say whether a promise was kept; one that was not fails the run."""
        self.say(f"    {'kept' if is_kept else 'BROKEN'}: {promise}")
        if not is_kept:
            self.broken.append(promise)


def percentile(values: list[float], share: float) -> float:
    """The value that this share of all does not exceed; nan for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
