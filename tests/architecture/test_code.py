"""How the code is written: short, documented, finished, and in the words of the glossary."""

import ast

import pytest

from moorage.domain import errors
from tests.architecture.source import LATE, Module, length, modules, words

LONGEST_FUNCTION = 80
LONGEST_FILE = 500

SOURCE = modules("src/moorage")
EVERYTHING = modules("src/moorage", "tests", "scripts", "bench")

#: Words that the glossary has another word for.
WRONG_WORDS = {"repo", "repos", "helper", "helpers", "util", "utils", "mgr", "cfg", "ctx"}

NAMELESS = {"utils", "helpers", "common", "misc"}

by_name = pytest.mark.parametrize("module", SOURCE, ids=lambda module: module.name)


@pytest.mark.parametrize(
    "module", [module for module in EVERYTHING if module.is_by_hand], ids=lambda module: module.name
)
def test_files_and_functions_are_short(module: Module) -> None:
    """What does not fit on a few screens is two things."""
    assert module.lines <= LONGEST_FILE
    long = {
        name: length(node)
        for name, node in module.definitions()
        if not isinstance(node, ast.ClassDef) and length(node) > LONGEST_FUNCTION
    }
    assert long == {}


@by_name
def test_what_is_public_is_documented(module: Module) -> None:
    """Modules, classes and functions that others may use say what they are for."""
    assert module.name.endswith("migrations/versions/__init__.py") or ast.get_docstring(module.tree)
    undocumented = [
        name
        for name, node in module.definitions()
        if not any(part.startswith("_") for part in name.split("."))
        and not is_inside_a_function(module, name)
        and not ast.get_docstring(node)
    ]
    assert undocumented == []


def is_inside_a_function(module: Module, name: str) -> bool:
    """Whether the definition is nested in a function, where nobody else can use it."""
    functions = {inner for inner, node in module.definitions() if not isinstance(node, ast.ClassDef)}
    parts = name.split(".")
    return any(".".join(parts[:count]) in functions for count in range(1, len(parts)))


@pytest.mark.parametrize("module", EVERYTHING, ids=lambda module: module.name)
def test_nothing_is_left_for_later(module: Module) -> None:
    """No marks of unfinished work, no tests that are passed over, no swallowed errors."""
    marks = ["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]
    assert [mark for mark in marks if mark in module.text.split()] == []
    assert [f"{mark}:" for mark in marks if f"{mark}:" in module.text] == []
    passed_over = [
        ast.unparse(node)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"pytest.mark.skip", "pytest.mark.xfail"}
    ]
    assert passed_over == []
    swallowed = [
        handler.lineno
        for handler in ast.walk(module.tree)
        if isinstance(handler, ast.ExceptHandler)
        and all(isinstance(line, ast.Pass) for line in handler.body)
        and (handler.type is None or ast.unparse(handler.type) in {"Exception", "BaseException"})
    ]
    assert swallowed == []


@by_name
def test_imports_stand_at_the_top(module: Module) -> None:
    """What a module needs is seen at its head, but for the few that are loaded when they are used."""
    inside = {
        name
        for _, node in module.definitions()
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
        for name in imported(inner)
    }
    assert inside - LATE == set()


def imported(line: ast.Import | ast.ImportFrom) -> list[str]:
    """The modules that a line imports, or imports from."""
    return [alias.name for alias in line.names] if isinstance(line, ast.Import) else [line.module or ""]


@by_name
def test_names_use_the_words_of_the_glossary(module: Module) -> None:
    """One word for one thing: repository, digest, configuration."""
    assert module.name.rsplit("/", 1)[1].removesuffix(".py") not in NAMELESS
    assert {name for name in identifiers(module) if WRONG_WORDS & {*words(name)}} == set()


def identifiers(module: Module) -> set[str]:
    """Every name that the module itself makes: of functions, classes, parameters, variables, attributes."""
    found: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return found


ERRORS = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, errors.RegistryError)
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_has_a_meaning_of_its_own(error: type[errors.RegistryError]) -> None:
    """Its docstring is its meaning, and no other error means the same."""
    meaning = error.__dict__.get("__doc__")
    assert meaning
    assert meaning.rstrip().endswith(".")
    assert [other.__name__ for other in ERRORS if other.__doc__ == meaning] == [error.__name__]


def test_the_tests_here_can_fail() -> None:
    """The eyes see: a module with every fault is found faulty."""
    text = "def get_repo():\n    import os\n    try:\n        os.sync()\n    except Exception:\n        pass\n"
    module = Module("src/moorage/faulty.py", text, ast.parse(text))
    for check in (
        test_what_is_public_is_documented,
        test_nothing_is_left_for_later,
        test_imports_stand_at_the_top,
        test_names_use_the_words_of_the_glossary,
    ):
        with pytest.raises(AssertionError):
            check(module)
    long = Module("src/moorage/long.py", "x = 1\n" * 501, ast.parse(""))
    with pytest.raises(AssertionError):
        test_files_and_functions_are_short(long)
