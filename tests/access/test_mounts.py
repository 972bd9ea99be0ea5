"""A blob is mounted from where the caller may read it; elsewhere it is as if it did not exist."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from moorage.domain.caller import Caller
from moorage.domain.digest import Digest
from moorage.metadata import transaction
from moorage.services import layers
from tests.access.office import APP, LIB, REGISTRY, Office
from tests.access.people import PULL, PUSH, allow, arn

THERE = Digest.of(b"layer of lib/base")
NOWHERE = Digest.of(b"of nothing")


def mount(office: Office, caller: Caller, digest: Digest, *, is_named: bool = True) -> bool:
    """Mount a blob into ``app/web``, from ``lib/base`` or from wherever it is; whether that was done."""
    source = LIB if is_named else None
    return office.database.write_now(layers.mount_layer, caller, REGISTRY, APP, digest, source) is not None


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that are run meanwhile."""
    run: list[str] = []
    execute = transaction.Transaction._execute

    def note(self: transaction.Transaction, statement: Any, parameters: dict[str, object]) -> Any:
        run.append(statement.compiled(self._dialect).sql)
        return execute(self, statement, parameters)

    with monkeypatch.context() as patched:
        patched.setattr(transaction.Transaction, "_execute", note)
        yield run


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("missing", [None, "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"])
def test_the_source_has_to_be_readable(office: Office, missing: str | None, is_named: bool) -> None:
    """By both rights that a pull of a blob takes."""
    rights = [action for action in PULL if action != missing]
    caller = office.hire("alice", allow(*PUSH, Resource=arn("app/*")), allow(*rights, Resource=arn("lib/*")))
    assert mount(office, caller, THERE, is_named=is_named) is (missing is None)


def test_a_source_that_may_not_be_read_is_asked_like_one_without_the_blob(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same statements, so that not even the time tells them apart."""
    caller = office.hire("alice", allow(*PUSH, Resource=arn("app/*")))
    assert not mount(office, caller, NOWHERE)
    seen = []
    for digest in (THERE, NOWHERE):
        with counted(monkeypatch) as run:
            assert not mount(office, caller, digest)
        seen.append(run)
    assert seen[0] == seen[1]
    assert seen[0]
