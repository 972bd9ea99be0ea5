"""Disks that are full, out of inodes, read-only, or gone: real file systems, on loop devices.

Pushes are refused with a 503 that clients try again after, pulls go on wherever the disk can be read, ``/readyz``
tells it, no process ends, nothing that was acknowledged is lost, and when space returns all goes on by itself.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.durability.power import Disk, disk
from tests.faults.scenarios import (
    SCENARIOS,
    Scenario,
    Stage,
    delete_image,
    push_image,
    put_large_manifests,
    then,
)
from tests.faults.world import World

MEBIBYTE = 1024 * 1024

#: Ways in that need room, whatever else they are about.
PUSHES = ("whole", "put", "chunk", "parts", "manifest", "PutImage", "create repository")


@pytest.fixture
def small(tmp_path: Path, loop_mounts: None) -> Iterator[Disk]:
    """A disk that is soon full, and becomes read-only when it finds an error; none of it is kept for root."""
    with disk(tmp_path, "disk", 96, "-m", "0", "-N", "3000", "-e", "remount-ro") as made:
        yield made


@pytest.fixture
def reserve() -> int:
    """Bytes that the server holds in reserve; none, so that the disk really becomes full."""
    return 0


@pytest.fixture
def afloat(small: Disk, reserve: int) -> Iterator[World]:
    """A server whose data, metrics and log are all on the small disk."""
    made = World(small.place, module=(), environment={"MOORAGE_DISK_RESERVE_BYTES": str(reserve)})
    yield made
    made.end()


@pytest.fixture
def kept(afloat: World) -> Stage:
    """An image that was pushed while all was well."""
    stage = afloat.stage(Scenario(push_image, ()))
    push_image(stage)
    return stage


def fill(place: Path, leave: int = 0) -> Path:
    """A file that takes all room but so many bytes; removing it gives it back."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        facts = os.statvfs(place)
        room = facts.f_bavail * facts.f_frsize - leave
        for piece in (MEBIBYTE, 4096):
            try:
                while room >= piece:
                    room -= file.write(bytes(piece))
            except OSError:
                room = piece
    return filler


def fill_inodes(place: Path) -> Path:
    """A directory with as many files as can be made."""
    fillers = place / "fillers"
    fillers.mkdir()
    try:
        for number in range(10_000):
            (fillers / str(number)).touch()
    except OSError:
        return fillers
    raise AssertionError("the disk has inodes without end")


def give_back(filler: Path) -> None:
    """Remove what fills the disk."""
    for file in filler.iterdir() if filler.is_dir() else ():
        file.unlink()
    if filler.is_dir():
        filler.rmdir()
    else:
        filler.unlink()
    os.sync()


def prepared(world: World) -> list[tuple[Scenario, Stage]]:
    """Every push, ready to be tried."""
    stages = [(SCENARIOS[name], world.stage(SCENARIOS[name])) for name in PUSHES]
    for scenario, stage in stages:
        scenario.prepare(stage)
    return stages


def check_refused(world: World, pushes: list[tuple[Scenario, Stage]]) -> None:
    """None of the pushes is acknowledged, and each hears so in a form that it tries again after."""
    for scenario, stage in pushes:
        assert not world.attempt(lambda scenario=scenario, stage=stage: scenario.act(stage))  # type: ignore[misc]
        assert world.in_flight.refusals
        assert world.unclean_refusals() == []


def check_recovered(world: World, pushes: list[tuple[Scenario, Stage]], kept: Stage) -> None:
    """All that was refused succeeds, and nothing is lost."""
    world.await_readiness("ok")
    for scenario, stage in pushes:
        scenario.repeat(stage)
        assert stage.writer.resume_all() == []
        assert world.look(stage) == []
    assert world.look(kept) == []


@pytest.mark.threat(68)
@pytest.mark.parametrize("exhaust", [fill, fill_inodes], ids=["space", "inodes"])
def test_a_full_disk_refuses_pushes_and_nothing_else(
    afloat: World, small: Disk, kept: Stage, exhaust: Callable[[Path], Path]
) -> None:
    """And goes on by itself when there is room again."""
    processes = afloat.victim.processes()
    pushes = prepared(afloat)
    filler = exhaust(small.place)
    afloat.await_readiness("disk")
    uploads = [(scenario, stage) for scenario, stage in pushes if exhaust is fill or takes_files(scenario)]
    check_refused(afloat, uploads)
    assert afloat.look_at_image(kept) == []
    assert afloat.victim.processes() == processes
    give_back(filler)
    check_recovered(afloat, uploads, kept)
    assert afloat.victim.processes() == processes


def takes_files(scenario: Scenario) -> bool:
    """Whether the push needs new files, as rows do not."""
    return any(step.startswith("create") for step in scenario.steps)


@pytest.mark.threat(68)
@pytest.mark.parametrize("reserve", [48 * MEBIBYTE])
def test_at_the_reserve_pushes_end_and_deletions_go_on(afloat: World, small: Disk, kept: Stage) -> None:
    """That is what the reserve is for."""
    pushes = [one for one in prepared(afloat) if takes_files(one[0])]
    filler = fill(small.place, leave=40 * MEBIBYTE)
    afloat.await_readiness("space")
    check_refused(afloat, pushes)
    assert afloat.look(kept) == []
    delete_image(kept)
    assert afloat.look(kept) == []
    give_back(filler)
    check_recovered(afloat, pushes, kept)


def test_the_log_of_a_full_disk_keeps_what_was_acknowledged(afloat: World, small: Disk, kept: Stage) -> None:
    """It grows until there is no room, checkpoints fail, and none of that takes anything back."""
    stage = afloat.stage(SCENARIOS["checkpoint"])
    filler = fill(small.place, leave=12 * MEBIBYTE)
    assert not afloat.attempt(lambda: then(*[put_large_manifests] * 4)(stage))
    assert afloat.unclean_refusals() == []
    assert "checkpoint_failed" in afloat.victim.log.read_text()
    assert afloat.look(stage) == []
    give_back(filler)
    afloat.await_readiness("ok")
    put_large_manifests(stage)
    assert afloat.look(stage) == []
    assert afloat.look(kept) == []


def test_a_disk_that_became_read_only_still_serves(afloat: World, small: Disk, kept: Stage) -> None:
    """As ext4 does when it finds an error. After a repair and a restart everything is there."""
    processes = afloat.victim.processes()
    pushes = prepared(afloat)
    small.find_error()
    afloat.await_readiness("disk")
    check_refused(afloat, pushes)
    assert afloat.look_at_image(kept) == []
    assert afloat.victim.processes() == processes
    afloat.victim.end()
    small.restore()
    afloat.restart()
    check_recovered(afloat, pushes, kept)


def test_a_disk_that_is_gone_answers_nothing_wrong(afloat: World, small: Disk, kept: Stage) -> None:
    """Every access fails with EIO. After a restart everything is there that was acknowledged."""
    pushes = prepared(afloat)
    small.cut()
    afloat.await_readiness("disk")
    check_refused(afloat, pushes)
    afloat.victim.end()
    small.restore()
    afloat.restart()
    check_recovered(afloat, pushes, kept)
