"""The source of the project as syntax trees, for tests about how it is written."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Made by scripts from other sources; nobody reads them line by line.
GENERATED = {"src/moorage/ecr/contract.py"}

#: Imported where they are used and not at the head of a module: what they load, most starts can do without.
LATE = {
    "moorage.auth.web_identity",
    "moorage.cli.certificates",
    "moorage.cli.checks",
    "moorage.cli.findings",
    "moorage.cli.identities",
    "moorage.cli.main",
    "moorage.metadata.migrate_postgresql",
    "moorage.metadata.postgresql",
    "moorage.metadata.postgresql_session",
    "moorage.metadata.upgrade",
    "structlog",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


@dataclass(frozen=True)
class Module:
    """One file."""

    name: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """How long it is."""
        return len(self.text.splitlines())

    @property
    def is_by_hand(self) -> bool:
        """Whether somebody wrote and reads it line by line."""
        return self.name not in GENERATED

    def definitions(self) -> Iterator[tuple[str, Definition]]:
        """Every class and function with its dotted name, nested ones too."""
        yield from _definitions(self.tree, "")


def _definitions(parent: ast.AST, prefix: str) -> Iterator[tuple[str, Definition]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, Definition):
            yield f"{prefix}{node.name}", node
            yield from _definitions(node, f"{prefix}{node.name}.")
        else:
            yield from _definitions(node, prefix)


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Every Python file below these folders, and it is a mistake if there is none."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert paths
    return tuple(_read(path) for path in paths)


def _read(path: Path) -> Module:
    text = path.read_text()
    return Module(str(path.relative_to(ROOT)), text, ast.parse(text))


def length(node: Definition) -> int:
    """Lines from the ``def`` to the last one. Decorators do not count: a table of cases is no code."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def words(identifier: str) -> list[str]:
    """``get_repositoryName2`` is get, repository, name."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)]
