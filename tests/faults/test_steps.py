"""Each step of a push, a pull and a deletion, made to fail in each way.

After each failure: nothing that was acknowledged is lost or changed, nothing is visible by half, the database is
sound, no answer was anything but the ordinary one or a 503, and the same succeeds once nothing fails any more.
"""

import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.faults.control import EIO, ENOSPC, EXIT, EXIT_AFTER, TRACE, Order
from tests.faults.scenarios import SCENARIOS
from tests.faults.world import REACHED_SECONDS, World


class Cell(NamedTuple):
    """One step of one scenario, failing in one way."""

    scenario: str
    step: str
    nth: int
    action: str

    @property
    def name(self) -> str:
        """For the list of tests."""
        return f"{self.scenario}-{self.step.rstrip('~')}-{self.nth}-{self.action}"


def cells() -> Iterator[Cell]:
    """The matrix."""
    for name, scenario in SCENARIOS.items():
        totals = Counter(step.rstrip("~") for step in scenario.steps)
        seen: Counter[str] = Counter()
        for step in scenario.steps:
            plain = step.rstrip("~")
            seen[plain] += 1
            nth, is_last = seen[plain], seen[plain] == totals[plain]
            # What comes several times in other scenarios is what comes in the one that fails everywhere.
            if nth == 1 or is_last or scenario.fails_everywhere:
                yield from (Cell(name, step, nth, action) for action in actions(step))
            if is_last or scenario.fails_everywhere:
                yield Cell(name, step, nth, EXIT)
        # The last commit is there, and nobody was told.
        if "sync log" in totals and scenario.process == "moorage-web":
            yield Cell(name, "sync log", totals["sync log"], EXIT_AFTER)


def actions(step: str) -> tuple[str, ...]:
    """The errors that a call can have: only what makes something can lack room."""
    return (EIO,) if step.startswith(("read", "unlink", "truncate")) else (EIO, ENOSPC)


def is_long(cell: Cell) -> bool:
    """Whether the cell is left to ``make proof``."""
    return cell.action in {EXIT, EXIT_AFTER} and not SCENARIOS[cell.scenario].ends_in_ci


@pytest.mark.parametrize(
    "cell",
    [pytest.param(cell, id=cell.name, marks=[pytest.mark.long] if is_long(cell) else []) for cell in cells()],
)
def test_a_failing_step_loses_nothing(world: World, cell: Cell) -> None:
    """See the module."""
    scenario = SCENARIOS[cell.scenario]
    stage = world.stage(scenario)
    world.make_ready(scenario, stage)
    order = Order(
        cell.step.rstrip("~"), cell.action, cell.nth, scenario.process, lacks_links=scenario.lacks_links
    )
    is_answered = world.attempt(lambda: scenario.act(stage), order)
    is_reached = world.was_reached()
    world.control.disarm()
    if cell.action in {EXIT, EXIT_AFTER}:
        world.victim.await_end()
        world.restart()
    elif not (is_answered and scenario.is_read_again):
        assert is_answered == cell.step.endswith("~")
    assert is_reached
    assert world.unclean_refusals() == []
    assert world.look(stage) == []
    scenario.repeat(stage)
    assert stage.writer.resume_all() == []
    assert world.look(stage) == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_table_has_every_step_that_is_taken(world: World, name: str) -> None:
    """And none that is not: a failure that is never reached would prove nothing."""
    scenario = SCENARIOS[name]
    stage = world.stage(scenario)
    world.make_ready(scenario, stage)
    assert world.attempt(
        lambda: scenario.act(stage),
        Order("", TRACE, process=scenario.process, lacks_links=scenario.lacks_links),
    )
    expected = Counter(step.rstrip("~") for step in scenario.steps)
    seen: Counter[str] = Counter()
    until = time.monotonic() + REACHED_SECONDS
    while seen != expected and time.monotonic() < until:
        seen = Counter(event for event in world.control.events() if event not in scenario.ignored)
    world.control.disarm()
    assert seen == expected
    assert world.look(stage) == []
