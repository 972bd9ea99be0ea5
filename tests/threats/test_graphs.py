"""Case 48 and row 4: what refers to what, over and over; and state that is read back as nothing but data."""

import ast
import json

import pytest

from tests.architecture.source import modules
from tests.fuzz.values import digest_of
from tests.threats.world import MANIFEST, NAME, World, manifest_of

INDEX = "application/vnd.oci.image.index.v1+json"
DEPTH = 100


def entry(data: bytes, kind: str) -> dict[str, object]:
    """A descriptor of a manifest."""
    return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}


@pytest.mark.threat(48)
def test_an_index_of_indexes_a_hundred_deep_is_stored_listed_and_deleted(world: World) -> None:
    """Nothing walks down: each level costs what the first one does."""
    kind, held = MANIFEST, manifest_of(of="the bottom")
    world.send(world.ask("PUT", f"/v2/{NAME}/manifests/{digest_of(held)}", held))
    chain = [held]
    for _ in range(DEPTH):
        held = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry(held, kind)]}).encode()
        kind = INDEX
        answer = world.send(
            world.ask("PUT", f"/v2/{NAME}/manifests/{digest_of(held)}", held, content_type=INDEX)
        )
        assert answer.status == 201
        chain.append(held)
    described = world.call("DescribeImages", repositoryName=NAME, imageIds=[{"imageDigest": digest_of(held)}])
    assert json.loads(described.body)["imageDetails"][0]["imageManifestMediaType"] == INDEX
    assert world.registry("GET", f"/v2/{NAME}/manifests/{digest_of(held)}").body == held
    for data in reversed(chain):
        assert world.registry("DELETE", f"/v2/{NAME}/manifests/{digest_of(data)}").status == 202


@pytest.mark.threat(48)
def test_a_circle_of_subjects_is_not_walked(world: World) -> None:
    """A subject may be missing, so two manifests can almost name each other; each lists its own referrers alone."""
    first = manifest_of(subject=entry(b"{}", MANIFEST))
    second = manifest_of(subject=entry(first, MANIFEST), artifactType="x/y")
    for data in (first, second):
        world.registry("PUT", f"/v2/{NAME}/manifests/{digest_of(data)}", data)
    listed = json.loads(world.registry("GET", f"/v2/{NAME}/referrers/{digest_of(first)}").body)
    assert [each["digest"] for each in listed["manifests"]] == [digest_of(second)]
    for data in (second, first):
        assert world.registry("DELETE", f"/v2/{NAME}/manifests/{digest_of(data)}").status == 202


#: What turns bytes into more than data.
DANGEROUS = {"pickle", "cPickle", "dill", "marshal", "shelve", "yaml", "jsonpickle", "joblib"}
DANGEROUS_CALLS = {"eval", "exec", "compile", "__import__"}


@pytest.mark.incident(4)
def test_no_state_is_read_back_as_code() -> None:
    """Uploads, tokens and pages are columns and sealed text; nothing that could run is ever loaded."""
    imported, called = set(), set()
    for module in modules("src/moorage"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                called.add(node.func.id)
    assert "msgspec" in imported
    assert imported & DANGEROUS == set()
    assert called & DANGEROUS_CALLS == set()
