"""A process that has the write lock and was stopped: pushes are refused in time, pulls go on."""

from tests.contract.test_metadata_write_lock import stopped_holder
from tests.faults.scenarios import SCENARIOS, Scenario, push_image
from tests.faults.world import World


def test_behind_a_stopped_process_pushes_are_refused_and_pulls_go_on(world: World) -> None:
    """And pushes go on as soon as it is gone."""
    kept = world.stage(Scenario(push_image, ()))
    push_image(kept)
    pushes = [(SCENARIOS[name], world.stage(SCENARIOS[name])) for name in ("whole", "parts", "put")]
    with stopped_holder(world.victim.data_dir / "metadata.db"):
        for scenario, stage in pushes:
            assert not world.attempt(lambda scenario=scenario, stage=stage: scenario.act(stage))  # type: ignore[misc]
            assert world.in_flight.refusals
            assert world.unclean_refusals() == []
        assert world.look_at_image(kept) == []
        world.await_readiness("database")
    world.await_readiness("ok")
    for scenario, stage in pushes:
        scenario.repeat(stage)
        assert stage.writer.resume_all() == []
        assert world.look(stage) == []
