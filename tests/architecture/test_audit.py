"""That no change goes by the audit: the faces make them by ``Call.change`` or with a ``Recording``."""

import ast

import pytest

from tests.architecture.source import Module, modules

FACES = modules("src/moorage/ecr", "src/moorage/oci")

#: Methods of ``transfers.Uploads`` that change something, for which a call must say how that is recorded.
UPLOADS = {"receive", "receive_last", "receive_whole", "cancel", "add_part", "complete_parts"}


def calls(module: Module) -> list[tuple[str, str, ast.Call]]:
    """Every call of a method: the last name of what it belongs to, its own, and the call."""
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            found.append((name, node.func.attr, node))
    return found


@pytest.mark.parametrize("module", FACES, ids=lambda module: module.name)
def test_a_face_writes_to_the_database_only_with_a_record(module: Module) -> None:
    """Without one a change would be in no audit log after a crash (docs/adr/0012-audit.md)."""
    found = calls(module)
    assert [node.lineno for owner, name, node in found if (owner, name) == ("database", "write")] == []
    unrecorded = [
        node.lineno
        for owner, name, node in found
        if owner == "uploads" and name in UPLOADS and "recording" not in {word.arg for word in node.keywords}
    ]
    assert unrecorded == []
