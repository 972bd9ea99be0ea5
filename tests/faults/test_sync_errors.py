"""Syncs that fail: never an acknowledgement, never a second try on the same file, and readiness shows it.

A kernel that could not write a page may drop it and report success to whoever asks again, so a file whose sync
failed is thrown away (reliability of PostgreSQL, "fsyncgate", 2018).
"""

from collections import Counter

import pytest

from tests.faults.control import EIO, Order
from tests.faults.scenarios import SCENARIOS
from tests.faults.world import World

FAILED = "FAILED "


@pytest.mark.parametrize("step", ["sync segment", "sync segment directory", "sync blob directory", "sync log"])
def test_after_a_failed_sync_nothing_is_acknowledged(world: World, step: str) -> None:
    """For as long as syncs fail; then all goes on by itself."""
    scenario = SCENARIOS["chunk"]
    stage = world.stage(scenario)
    left = world.segments()
    assert not world.attempt(lambda: scenario.act(stage), Order(step, EIO, is_standing=True))
    assert world.unclean_refusals() == []
    failures = Counter(event for event in world.control.events() if event.startswith(FAILED))
    assert failures
    if step == "sync segment":
        assert set(failures.values()) == {1}
        assert world.segments() <= left
    if step != "sync blob directory":
        world.await_readiness("database" if step == "sync log" else "disk")
    world.control.disarm()
    world.await_readiness("ok")
    assert world.look(stage) == []
    scenario.repeat(stage)
    assert stage.writer.resume_all() == []
    assert world.look(stage) == []
