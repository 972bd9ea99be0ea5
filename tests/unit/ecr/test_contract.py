"""The generated contract against the model it is generated from."""

import runpy
from pathlib import Path

from moorage.ecr import contract
from moorage.ecr.shapes import Kind

SCRIPT = Path(__file__).parents[3] / "scripts" / "generate_contract.py"


def without_version(text: str) -> str:
    """The module without its first line, which names the botocore it was made from."""
    return text.split("\n", 1)[1]


def test_contract_is_what_the_script_writes_from_the_installed_model() -> None:
    """A newer model, or an edit by hand, shows as a difference until the script is run."""
    script = runpy.run_path(str(SCRIPT))

    wanted = script["render"](script["load_model"](), "any")

    assert without_version(script["CONTRACT"].read_text()) == without_version(wanted)


def test_check_fails_when_the_contract_differs(tmp_path: Path) -> None:
    """``--check`` tells a stale contract by its exit status."""
    script = runpy.run_path(str(SCRIPT))
    stale = tmp_path / "contract.py"
    stale.write_text("stale")
    script["main"].__globals__["CONTRACT"] = stale

    assert script["main"](["--check"]) == 1
    assert script["main"]([]) == 0
    assert script["main"](["--check"]) == 0


def test_every_name_in_the_contract_is_defined() -> None:
    """Operations and shapes only refer to shapes and errors that are there."""
    referred = {operation.input for operation in contract.OPERATIONS.values()}
    referred |= {operation.output for operation in contract.OPERATIONS.values()}
    for shape in contract.SHAPES.values():
        referred |= {*shape.members.values(), *filter(None, (shape.element, shape.key))}
        assert set(shape.required) <= set(shape.members)
    declared = {error for operation in contract.OPERATIONS.values() for error in operation.errors}

    assert referred <= set(contract.SHAPES)
    assert declared <= set(contract.EXCEPTIONS)


def test_contract_holds_the_operations_of_the_api() -> None:
    """All operations are there, each named as its key, with structures going in and out."""
    assert len(contract.OPERATIONS) >= 62
    for name, operation in contract.OPERATIONS.items():
        assert operation.name == name
        assert contract.SHAPES[operation.input].kind is Kind.STRUCTURE
        assert contract.SHAPES[operation.output].kind is Kind.STRUCTURE


def test_contract_keeps_constraints() -> None:
    """Lengths, patterns, enums, required members and the errors' members come over as published."""
    name = contract.SHAPES["RepositoryName"]
    assert (name.minimum, name.maximum, name.pattern[:9]) == (2, 256, "[a-z0-9]+")
    assert contract.SHAPES["TagStatus"].values == ("TAGGED", "UNTAGGED", "ANY")
    assert contract.SHAPES["ListImagesRequest"].required == ("repositoryName",)
    assert contract.EXCEPTIONS["KmsException"] == ("message", "kmsError")
