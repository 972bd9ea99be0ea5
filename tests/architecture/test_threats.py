"""The index of threats: every case in scope has a test that carries its number, and every number is one in scope.

Cases are those of bad input, incidents those that happened to other registries; the numbers are this project's own
list, and what each means is said where it is tested. A test that proves a case is marked
``@pytest.mark.threat(37)``, one that proves an incident impossible ``@pytest.mark.incident(7)``; one parameter of a
test can carry a mark, too.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, Module, modules

#: Callers, names and numbers, uploads, manifests; then what concerns the platform.
THREATS = {*range(1, 20), *range(21, 55), *range(65, 74)}
INCIDENTS = {1, 3, 4, 6, 7, 8, 10, 11, 12, 16, 17, 19, 23, 24, 25, 26, 28, 29, 30, 31}

#: Proven by a program that CI runs, because it takes more than one test can: the number, the program, its stage.
PROGRAMS = {73: ("tests/durability/kill_rounds.py", "kills")}


def marks(module: Module, kind: str) -> Iterator[int]:
    """The numbers that the marks of this kind in a module name."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"pytest.mark.{kind}":
            yield from (number for argument in node.args for number in _numbers(argument))


def _numbers(argument: ast.expr) -> Iterator[int]:
    value = ast.literal_eval(argument)
    assert isinstance(value, int), ast.unparse(argument)
    yield value


def proven(kind: str) -> dict[int, set[str]]:
    """Number to the modules that prove it."""
    found: dict[int, set[str]] = defaultdict(set)
    for module in modules("tests"):
        for number in marks(module, kind):
            found[number].add(module.name)
    return found


@pytest.mark.parametrize("number", sorted(THREATS - set(PROGRAMS)))
def test_every_case_of_bad_input_has_its_test(number: int) -> None:
    """It carries the number, so that whoever reads the list finds the proof."""
    assert proven("threat").get(number)


@pytest.mark.parametrize("number", sorted(INCIDENTS))
def test_every_incident_has_its_test(number: int) -> None:
    """What happened to others is shown not to happen here."""
    assert proven("incident").get(number)


def test_no_mark_has_a_number_that_is_not_in_scope() -> None:
    """A slip of the pen would prove something else."""
    assert set(proven("threat")) <= THREATS
    assert set(proven("incident")) <= INCIDENTS


@pytest.mark.parametrize(("program", "stage"), PROGRAMS.values())
def test_a_case_that_a_program_proves_is_run_by_ci(program: str, stage: str) -> None:
    """The program is there, and its stage is among those that CI runs by default."""
    assert (ROOT / program).is_file()
    default = next(
        line for line in Path(ROOT, ".ci/run").read_text().splitlines() if "set -- test lint" in line
    )
    assert stage in default.split()


def test_a_mark_is_found_wherever_it_stands() -> None:
    """Above a test, in a parameter, several numbers at once; and nothing else is taken for one."""
    text = "@pytest.mark.threat(1, 2)\ndef f(): ...\nx = pytest.param(1, marks=[pytest.mark.threat(3)])\nthreat(4)\n"
    module = Module("tests/x.py", text, ast.parse(text))
    assert list(marks(module, "threat")) == [1, 2, 3]
    assert list(marks(module, "incident")) == []
