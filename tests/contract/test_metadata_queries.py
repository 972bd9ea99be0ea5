"""Every statement finds its rows by an index: a page costs the same at ten rows and at ten million."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.sql import Select
from sqlalchemy.sql.dml import Insert

from moorage import metadata
from moorage.metadata import images, layers, tags
from moorage.metadata.queries import Query, Statement
from moorage.metadata.sqlite import connect
from tests.support.database import fresh_file

DIALECT = dialect(paramstyle="named")

#: Tables of a handful of rows, read whole.
WHOLE = {"accounts._ALL_SECRETS", "accounts._HAS_KEYS"}


def statements() -> Iterator[tuple[str, Statement]]:
    """Every statement of the package with its name, also those kept in dictionaries."""
    for module in pkgutil.iter_modules(metadata.__path__, "moorage.metadata."):
        if module.ispkg:
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            many = value if isinstance(value, dict) else {None: value}
            for key, one in many.items():
                if isinstance(one, Statement):
                    suffix = "" if key is None else f"[{key}]"
                    yield f"{module.name.rsplit('.', 1)[1]}.{name}{suffix}", one


ALL = dict(statements())
LOOKUPS = {name: each for name, each in ALL.items() if not isinstance(each.element, Insert)}
ORDERED = {
    name
    for name, each in ALL.items()
    if isinstance(each.element, Select) and each.element._order_by_clauses and name not in WHOLE
}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An empty database: the planner knows no more of it than of one that never ran ANALYZE."""
    connection = connect(fresh_file(tmp_path_factory.mktemp("plans")))
    yield connection
    connection.close()


def plan(connection: Any, statement: Statement) -> list[str]:
    """What SQLite means to do, step by step."""
    compiled: Any = statement.element.compile(dialect=DIALECT)
    rows = connection.execute(f"EXPLAIN QUERY PLAN {compiled}", dict.fromkeys(compiled.binds)).fetchall()
    return [row[3] for row in rows]


def test_the_statements_are_found() -> None:
    """A test over nothing would pass for ever."""
    assert len(LOOKUPS) > 35
    assert {"images._PAGES[TAGGED]", "tags._PAGE", "repositories._PAGE", "uploads._STALE"} <= ORDERED


#: Lists that are sorted, and why they may be: an account has as many keys as its quotas allow, and only whoever looks
#: after them lists them.
SORTED = {"access_keys._PAGE"}

#: The one row that ``metadata/asked`` begins with, so that it has an answer whatever is missing.
CONSTANT_ROW = {"CO-ROUTINE request", "SCAN CONSTANT ROW", "SCAN request"}


@pytest.mark.parametrize("name", sorted(LOOKUPS.keys() - WHOLE))
def test_no_statement_reads_a_table_from_end_to_end(connection: Any, name: str) -> None:
    """Each step of the plan searches by an index or a row id, those of a subquery too."""
    steps = set(plan(connection, LOOKUPS[name])) - CONSTANT_ROW
    if name in SORTED:
        steps -= {"USE TEMP B-TREE FOR ORDER BY"}
    assert [step for step in steps if not step.startswith(("SEARCH", "LIST SUBQUERY"))] == []


@pytest.mark.parametrize("name", sorted(ORDERED - SORTED))
def test_no_list_is_sorted(connection: Any, name: str) -> None:
    """The index gives the order, so that a page reads no more rows than it shows."""
    assert [step for step in plan(connection, ALL[name]) if "TEMP B-TREE" in step] == []


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (images._PAGES["TAGGED"], "image_page_tagged"),
        (images._PAGES["UNTAGGED"], "image_page_untagged"),
        (images._TAG_PAGES["TAGGED"], "image_page_tagged"),
        (images._TAG_PAGES["UNTAGGED"], "image_page_untagged"),
        (images._TAGS_BETWEEN, "image_page_tagged"),
        (images._REFERRERS, "image_subject"),
        (images._INDEXES_OF, "image_reference_digest"),
        (layers._HOLDERS, "layer_holder"),
        (tags._EVENTS, "tag_event_tag"),
    ],
)
def test_lists_of_a_part_use_the_index_of_that_part(connection: Any, query: Query[Any], index: str) -> None:
    """A page of the few untagged images does not walk over the many tagged ones."""
    assert any(f" {index} " in step for step in plan(connection, query))


def test_every_list_has_a_limit_or_a_bound_by_its_owner() -> None:
    """What can grow without end is paged; the others are bounded by a quota, one page or one upload's parts."""
    bounded = {
        "images._TAGS_BETWEEN",
        "policies._ATTACHED",
        "policies._INLINE",
        "repositories._TAGS",
        "tags._OF_IMAGE",
        "uploads._SEGMENTS",
    }
    unlimited = {name for name in ORDERED if ALL[name].element._limit_clause is None}  # type: ignore[attr-defined]
    assert unlimited == bounded
