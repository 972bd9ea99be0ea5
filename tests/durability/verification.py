"""Reads what the server shows: every image whole, every blob digest-correct, nothing that nobody pushed."""

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tests.durability.content import INDEX, MANIFEST, digest_of
from tests.durability.journal import ABSENT, PRESENT, Journal, Thing, Violation
from tests.durability.uploads import expect, read_blob
from tests.durability.wire import Answer, NoAnswer, Wire

_ACCEPT = {"Accept": f"{MANIFEST}, {INDEX}"}

Item = TypeVar("Item")


class Reader:
    """Reads things over one connection. ``whole`` holds the images and blobs already found whole in this pass."""

    def __init__(self, wire: Wire, whole: set[Thing]) -> None:
        self._wire = wire
        self._whole = whole

    def value(self, thing: Thing) -> str:
        """What the server says of a thing. Raises ``Violation`` for a thing that is there but not whole."""
        match thing.kind:
            case "blob":
                return self._read_blob(thing)
            case "repository":
                return self._is_there(self._wire.send("GET", f"/v2/{thing.repository}/tags/list?n=1"))
            case _:
                return self._read_manifest(thing)

    @staticmethod
    def _is_there(answer: Answer) -> str:
        return PRESENT if expect(answer, 200, 404).status == 200 else ABSENT

    def _read_blob(self, thing: Thing) -> str:
        if thing not in self._whole:
            data = read_blob(self._wire, thing.repository, thing.name)
            if data is None:
                return ABSENT
            if digest_of(data) != thing.name:
                raise Violation(f"{thing} has other bytes: {len(data)} of them, {digest_of(data)}")
            self._whole.add(thing)
        return PRESENT

    def _read_manifest(self, thing: Thing) -> str:
        """An image or the digest that a tag names, with all that it needs."""
        answer = self._wire.send("GET", f"/v2/{thing.repository}/manifests/{thing.name}", headers=_ACCEPT)
        if expect(answer, 200, 404).status == 404:
            return ABSENT
        digest = digest_of(answer.body)
        if answer.headers["Docker-Content-Digest"] != digest or (
            thing.kind == "image" and thing.name != digest
        ):
            raise Violation(f"{thing} has other bytes: {answer.headers['Docker-Content-Digest']} but {digest}")
        self._check_needs(thing, answer.body)
        return digest if thing.kind == "tag" else PRESENT

    def _check_needs(self, thing: Thing, body: bytes) -> None:
        manifest: dict[str, Any] = json.loads(body)
        blobs = [manifest["config"], *manifest["layers"]] if "config" in manifest else []
        needed = [Thing("blob", thing.repository, blob["digest"]) for blob in blobs]
        needed += [Thing("image", thing.repository, child["digest"]) for child in manifest.get("manifests", ())]
        for need in needed:
            if self.value(need) == ABSENT:
                raise Violation(f"{thing} is there, but not the {need.kind} {need.name} that it needs")

    def list_tags(self, repository: str) -> list[Thing]:
        """Every tag listed; none where the repository is missing."""
        listed: list[Thing] = []
        path = f"/v2/{repository}/tags/list?n=1000"
        while path:
            answer = expect(self._wire.send("GET", path), 200, 404)
            if answer.status == 404:
                return []
            listed += [Thing("tag", repository, tag) for tag in answer.json()["tags"]]
            path = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
        return listed

    def list_repositories(self) -> list[Thing]:
        """Every repository that the JSON API lists."""
        listed: list[Thing] = []
        page: dict[str, Any] = {}
        while True:
            answer = expect(self._wire.call("DescribeRepositories", {"maxResults": 1000} | page), 200).json()
            listed += [Thing("repository", one["repositoryName"]) for one in answer["repositories"]]
            if "nextToken" not in answer:
                return listed
            page = {"nextToken": answer["nextToken"]}


def check_touched(journal: Journal, wires: Sequence[Wire], repositories: Iterable[str]) -> list[str]:
    """Read all that changed since the last look, and the tag lists of these repositories."""
    return _check(journal, wires, journal.touched(), list(repositories))


def check_everything(journal: Journal, wires: Sequence[Wire]) -> list[str]:
    """Read everything that was ever acknowledged or tried, and everything that is listed."""
    listed = Reader(wires[0], set()).list_repositories()
    things = dict.fromkeys([*journal.things(), *listed])
    there = [thing.repository for thing in things if thing.kind == "repository"]
    broken = _check(journal, wires, list(things), there)
    missing = [
        f"{thing} is there but not listed"
        for thing in things
        if thing.kind == "repository" and journal.certain(thing) == PRESENT and thing not in set(listed)
    ]
    return broken + missing


def _check(
    journal: Journal, wires: Sequence[Wire], things: Sequence[Thing], repositories: Sequence[str]
) -> list[str]:
    """Compare lists and things with the journal, which afterwards takes what was seen for the truth."""
    broken: list[str] = []
    listed: set[Thing] = set()
    seen: dict[Thing, str] = {}
    whole: set[Thing] = set()

    def read_list(reader: Reader, repository: str) -> None:
        listed.update(reader.list_tags(repository))

    def read_thing(reader: Reader, thing: Thing) -> None:
        seen[thing] = reader.value(thing)

    readers = [Reader(wire, whole) for wire in wires]
    broken += _share_out(readers, repositories, read_list)
    # A tag that is listed is read as well, unless its value is known and was read before.
    unknown = [tag for tag in listed if journal.certain(tag) in {None, ABSENT}]
    broken += _share_out(readers, list(dict.fromkeys([*things, *unknown])), read_thing)
    broken += [f"{tag} is listed but not there" for tag in unknown if seen.get(tag) == ABSENT]
    broken += [
        f"{thing} is there but not listed"
        for thing, value in seen.items()
        if thing.kind == "tag" and value != ABSENT and thing.repository in repositories and thing not in listed
    ]
    return broken + journal.settle(seen)


def _share_out(
    readers: Sequence[Reader], items: Sequence[Item], read: Callable[[Reader, Item], None]
) -> list[str]:
    """Let every reader read its share; returns what was broken."""

    def read_share(number: int) -> list[str]:
        return [
            text for item in items[number :: len(readers)] if (text := _read_one(readers[number], item, read))
        ]

    with ThreadPoolExecutor(len(readers)) as pool:
        return [text for share in pool.map(read_share, range(len(readers))) for text in share]


def _read_one(reader: Reader, item: Item, read: Callable[[Reader, Item], None]) -> str:
    try:
        read(reader, item)
    except (Violation, NoAnswer) as error:
        return f"{item}: {error}"
    return ""
