"""Listing tags: in order, in pages, from anywhere."""

import re
from typing import Any

from tests.conformance.suite import expectations
from tests.conformance.suite.content import name
from tests.conformance.suite.data_sets import Builder, DataSet
from tests.conformance.suite.expectations import Failure, expect
from tests.conformance.suite.manifests import put_image
from tests.conformance.suite.registry import Answer, Parameters
from tests.conformance.suite.report import Api
from tests.conformance.suite.run import Run

PAGES = 200
NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


def listed(run: Run, answer: Answer) -> list[str]:
    """The tags of one answer: 200, the repository's name, and a sorted list."""
    expectations.status(answer, 200)
    document: Any = answer.json
    expect(document.get("name") == run.repository, f"{answer}: name is not {run.repository}")
    tags = [str(tag) for tag in document.get("tags") or ()]
    orders = (sorted(tags), sorted(tags, key=str.casefold))
    expect(tags in orders, f"{answer}: tags are not sorted")
    return tags


def tags_of(run: Run, *parameters: tuple[str, str]) -> list[str]:
    """The tags of one request."""
    return listed(run, run.registry.send("GET", run.tags, parameters=parameters))


def next_page(answer: Answer) -> str:
    """Where a Link leads on to; empty where there is none."""
    link = answer.header("Link")
    if not link:
        return ""
    found = NEXT.search(link)
    if not found:
        raise Failure(f'{answer}: Link {link!r} is not of the form <URL>; rel="next"')
    return found[1]


def all_pages(run: Run, size: int) -> list[str]:
    """Every tag, page by page: by Link where one is given, else by the last tag seen while pages are full."""
    found: list[str] = []
    target, parameters = run.tags, (("n", str(size)),)
    following: Parameters = parameters
    for _ in range(PAGES):
        answer = run.registry.send("GET", target, parameters=following)
        page = listed(run, answer)
        expect(len(page) <= size, f"{answer}: {len(page)} tags, asked for {size}")
        found += page
        link = next_page(answer)
        expect(bool(link) or len(page) in (0, size) or not _more(run, found), f"{answer}: a page is too short")
        if link:
            target, following = link, ()
        elif len(page) == size:
            target, following = run.tags, (*parameters, ("last", page[-1]))
        else:
            return found
    raise Failure(f"{PAGES} pages of {size} tags and no end")


def _more(run: Run, found: list[str]) -> bool:
    return bool(tags_of(run, ("last", found[-1])))


def list_set(run: Run, data: DataSet) -> None:
    """The tags of a set are listed, and a list from the middle has just those behind it."""
    with run.report.check("tags listed", Api.TAG_LIST):
        tags = tags_of(run)
        lacking = set(data.tags) - set(tags)
        expect(data.is_spoilt or not lacking, f"not listed: {', '.join(sorted(lacking))}")
        if len(tags) > 1:
            middle = len(tags) // 2
            behind = tags_of(run, ("last", tags[middle - 1]))
            expect(behind == tags[middle:], f"behind {tags[middle - 1]}: {behind}, expected {tags[middle:]}")


def check_empty(run: Run) -> None:
    """A list of tags before anything is pushed, and of a repository that is not there."""
    with run.report.check("tags of an empty repository", Api.TAG_LIST):
        answer = run.registry.send("GET", run.tags)
        expectations.status(answer, 200, 404)
        if answer.status == 200:
            listed(run, answer)
    with run.report.check("tags of an absent repository: 404", Api.TAG_LIST):
        answer = run.registry.send("GET", f"/v2/{name('absent')}/tags/list")
        expectations.status(answer, 404)
        expectations.error_code(answer, "NAME_UNKNOWN")


def check_tags(run: Run) -> None:
    """Eleven tags of one image, listed in every way."""
    run.report.group("tag lists")
    builder = Builder("tag lists")
    digest = builder.image()
    mine = ["A", "Z", "_", "a", "a-1", "a.1", "a_1", "b", "b10", "b9", "z" * 128]
    with run.report.check("tags to list", Api.MANIFEST_PUT_TAG) as pushed:
        put_image(run, builder, digest, *mine)
    if not pushed.passed:
        return
    whole = sorted(mine)
    with run.report.check("all of them, in order", Api.TAG_LIST):
        whole = tags_of(run)
        expect(set(mine) <= set(whole), f"not listed: {set(mine) - set(whole)}")
    for size in (1, 3, 4, len(mine), 1000):
        with run.report.check(f"in pages of {size}", Api.TAG_LIST):
            expect(all_pages(run, size) == whole, f"pages of {size} do not add up to the whole list")
    with run.report.check("n=0: nothing, and no Link", Api.TAG_LIST):
        answer = run.registry.send("GET", run.tags, parameters=[("n", "0")])
        expect(not listed(run, answer), f"{answer}: not empty")
        expect(not answer.header("Link"), f"{answer}: has a Link")
    for at, last in enumerate(whole):
        with run.report.check(f"last={last[:8]}", Api.TAG_LIST):
            expect(tags_of(run, ("last", last)) == whole[at + 1 :], f"not what is behind {last}")
            two = tags_of(run, ("n", "2"), ("last", last))
            expect(two == whole[at + 1 : at + 3], f"two tags behind {last} are {two}")
    with run.report.check("last= a tag that is not there", Api.TAG_LIST):
        behind = tags_of(run, ("last", "a-2"))
        expect(behind == [tag for tag in whole if tag > "a-2"], f"behind a-2: {behind}")
