"""oras: artifacts, and artifacts that refer to others."""

from pathlib import Path

import pytest

from tests.clients.command import Ran
from tests.clients.worlds import World

pytestmark = pytest.mark.clients

SBOM = "application/vnd.example.sbom"
SIGNATURE = "application/vnd.example.signature"


class Oras:
    """oras with the flags that a world asks for; files are named relative to ``directory``."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world = world
        self.directory = directory

    def run(self, *argv: str | Path) -> Ran:
        """A verb about one registry."""
        return self.world.run("oras", *argv, *self.world.when_plain("--plain-http"))

    def push(self, image: str, name: str) -> str:
        """Push a file of that name as an artifact; return the digest."""
        return self._store("push", image, name)

    def attach(self, image: str, name: str, artifact_type: str) -> str:
        """Attach a file to an image; return the digest of the referrer."""
        return self._store("attach", image, name, "--artifact-type", artifact_type)

    def referrers(self, image: str, *flags: str) -> list[str]:
        """The digests of what refers to an image directly."""
        found = self.run("discover", "--format=json", "--depth=1", *flags, image).json
        return [entry["digest"] for entry in found.get("referrers") or found.get("manifests") or []]

    def _store(self, verb: str, image: str, name: str, *flags: str) -> str:
        path = self.directory / name
        path.write_text(f"contents of {name}\n")
        file = f"{path}:text/plain"
        answer = self.run(verb, "--disable-path-validation", "--format=json", *flags, image, file).json
        digest: str = answer["digest"]
        return digest


@pytest.fixture(scope="module")
def oras(world: World, tmp_path_factory: pytest.TempPathFactory) -> Oras:
    """oras, signed in."""
    flags = world.when_plain("--plain-http")
    login = ("oras", "login", *flags, "--username", "AWS", "--password-stdin", world.registry)
    world.run(*login, stdin=world.password())
    return Oras(world, tmp_path_factory.mktemp("oras"))


def test_oras_pulls_the_file_it_pushed(oras: Oras, repository: str, tmp_path: Path) -> None:
    """A file pushed as an artifact comes back with its contents."""
    oras.push(f"{repository}:v1", "notes.txt")
    (oras.directory / "notes.txt").unlink()
    oras.run("pull", "--allow-path-traversal", "--output", tmp_path, f"{repository}:v1")
    assert (oras.directory / "notes.txt").read_text() == "contents of notes.txt\n"


def test_oras_discovers_what_it_attached(oras: Oras, repository: str) -> None:
    """Both referrers of an artifact are found, and by type only the one asked for."""
    oras.push(f"{repository}:v1", "subject.txt")
    sbom = oras.attach(f"{repository}:v1", "sbom.txt", SBOM)
    signature = oras.attach(f"{repository}:v1", "signature.txt", SIGNATURE)
    assert sorted(oras.referrers(f"{repository}:v1")) == sorted([sbom, signature])
    assert oras.referrers(f"{repository}:v1", "--artifact-type", SBOM) == [sbom]


def test_oras_copies_referrers_with_their_subject(oras: Oras, repository: str) -> None:
    """A recursive copy takes along what refers to the subject, and what refers to that."""
    oras.push(f"{repository}:v1", "subject.txt")
    sbom = oras.attach(f"{repository}:v1", "sbom.txt", SBOM)
    signature = oras.attach(f"{repository}@{sbom}", "signature.txt", SIGNATURE)
    name = repository.removeprefix(f"{oras.world.registry}/")
    other = oras.world.create(f"{name}-copied")
    flags = oras.world.when_plain("--from-plain-http", "--to-plain-http")
    oras.world.run("oras", "copy", "--recursive", *flags, f"{repository}:v1", f"{other}:v1")
    assert oras.referrers(f"{other}:v1") == [sbom]
    assert oras.referrers(f"{other}@{sbom}") == [signature]


def test_oras_lists_no_referrer_after_it_was_deleted(oras: Oras, repository: str) -> None:
    """A deleted referrer is not discovered any more."""
    oras.push(f"{repository}:v1", "subject.txt")
    sbom = oras.attach(f"{repository}:v1", "sbom.txt", SBOM)
    oras.run("manifest", "delete", "--force", f"{repository}@{sbom}")
    assert oras.referrers(f"{repository}:v1") == []


def test_oras_lists_the_tags_it_pushed(oras: Oras, repository: str) -> None:
    """Tags are listed after a push with several at once."""
    oras.push(f"{repository}:v1,latest", "notes.txt")
    assert oras.run("repo", "tags", repository).out.split() == ["latest", "v1"]


def test_oras_fetches_the_blob_it_pushed(oras: Oras, repository: str, tmp_path: Path) -> None:
    """A blob by itself is pushed, described and fetched."""
    (tmp_path / "blob").write_bytes(b"a blob by itself")
    size = str(len(b"a blob by itself"))
    oras.run("blob", "push", "--size", size, repository, tmp_path / "blob")
    digest = "sha256:" + oras.world.run("sha256sum", tmp_path / "blob").out.split()[0]
    assert oras.run("blob", "fetch", "--output=-", f"{repository}@{digest}").out == "a blob by itself"
