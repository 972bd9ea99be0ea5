"""Everybody asks for everything, under all policies: let through is who an independent evaluator lets through."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import pytest

from moorage.ecr.downloads import OPERATION as DOWNLOAD
from moorage.ecr.operations import OPERATIONS as BUILT
from moorage.oci.routes import BASE, CATALOG, ROUTES
from tests.access.evaluating import Asked, Who, World, is_allowed
from tests.access.matrix import Matrix, facts_of, repositories_asked
from tests.access.people import APP, GONE, LIB, OURS, PEOPLE, REGION, WORLDS, arn
from tests.access.routes import OPERATIONS, PATHS, PULLS

ALL = f"arn:aws:ecr:{REGION}:{OURS}:repository/*"
LEAST_CASES = 5_000


class Outcome(NamedTuple):
    """One request: what it was, whether it was let through, and whether it should have been."""

    case: tuple[str, str, str, str | None]
    was_allowed: bool
    should_be: bool


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """One server for all cases."""
    made = Matrix(tmp_path_factory.mktemp("matrix"))
    yield made
    made.driver.close()


def test_every_operation_and_every_route_is_in_the_matrix() -> None:
    """A new one cannot be forgotten, nor its action be another one than is written here."""
    assert OPERATIONS.keys() == BUILT.keys()
    assert {(route.method, route.shape): route.action for route in ROUTES} == {
        where: path.action for where, path in PATHS.items()
    }
    assert {(route.method, route.shape) for route in ROUTES if route.is_pull} == PULLS


@pytest.mark.incident(1)
def test_let_through_is_who_may(matrix: Matrix) -> None:
    """No unexpected allow, no unexpected refusal, on either face; and both are seen often."""
    outcomes = asyncio.run(_ask_everything(matrix))
    wrong = [outcome for outcome in outcomes if outcome.was_allowed is not outcome.should_be]
    assert wrong == []
    seen = Counter(outcome.should_be for outcome in outcomes)
    assert seen.total() >= LEAST_CASES
    assert min(seen.values()) * 4 >= seen.total()


async def _ask_everything(matrix: Matrix) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for world in WORLDS:
        matrix.enter(world)
        for who in PEOPLE:
            outcomes += [outcome async for outcome in _ask_operations(matrix, world, who)]
            outcomes += [outcome async for outcome in _ask_paths(matrix, world, who)]
            outcomes += [outcome async for outcome in _ask_downloads(matrix, world, who)]
    return outcomes


async def _ask_operations(matrix: Matrix, world: World, who: Who) -> AsyncIterator[Outcome]:
    if who.is_anonymous:
        return
    for name, operation in OPERATIONS.items():
        for repository in (APP, LIB, GONE) if operation.has_repository else (None,):
            resource = "*" if repository is None else arn(repository)
            asked = Asked(operation.action, resource, repository, operation.keys)
            should_be = (
                _should(who, world, asked) if operation.has_repository else _should_at_home(who, world, asked)
            )
            was = await matrix.ask_operation(who, name, operation, repository)
            yield Outcome((world.name, who.name, name, repository), was, should_be)


async def _ask_paths(matrix: Matrix, world: World, who: Who) -> AsyncIterator[Outcome]:
    for (method, shape), path in PATHS.items():
        for repository in repositories_asked(path, shape):
            if shape == BASE:
                should_be = who.is_somebody and not who.is_anonymous
            elif shape == CATALOG:
                should_be = not who.is_anonymous and _sees_something(who, world)
            else:
                assert repository is not None
                asked = Asked(path.action, arn(repository), repository, path.keys)
                is_open = not who.is_anonymous or (method, shape) in PULLS
                should_be = is_open and _should(who, world, asked)
            was = await matrix.ask_path(who, method, shape, path, repository)
            yield Outcome((world.name, who.name, f"{method} {shape}", repository), was, should_be)


async def _ask_downloads(matrix: Matrix, world: World, who: Who) -> AsyncIterator[Outcome]:
    """Each is judged as the one whom the URL was given to, whoever owns the registry."""
    if who.is_anonymous:
        return
    for repository in (APP, LIB, GONE):
        asked = Asked("ecr:GetDownloadUrlForLayer", arn(repository), repository)
        was = await matrix.ask_download(who, repository)
        yield Outcome((world.name, who.name, DOWNLOAD, repository), was, _should(who, world, asked))


def _should(who: Who, world: World, asked: Asked) -> bool:
    return is_allowed(who, world, asked, OURS, facts_of(asked))


def _should_at_home(who: Who, world: World, asked: Asked) -> bool:
    """These operations are about the caller's own registry."""
    home = who.names["account"]
    return is_allowed(who, world if home == OURS else World("another"), asked, home, facts_of(asked))


def _sees_something(who: Who, world: World) -> bool:
    """The list of repositories is for whoever may see one of them, or could."""
    asked = [Asked("ecr:DescribeRepositories", ALL, None)]
    asked += [Asked("ecr:DescribeRepositories", arn(name), name) for name in (APP, LIB)]
    return any(_should(who, world, one) for one in asked)
