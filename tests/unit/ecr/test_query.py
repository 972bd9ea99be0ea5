"""Operation and input from the query string."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import botocore.session
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.domain.errors import ConflictingParameters, MalformedRequest, OperationMissing, OperationUnknown
from moorage.ecr import query
from moorage.ecr.contract import OPERATIONS, SHAPES, TARGET_PREFIX
from moorage.ecr.shapes import Kind
from moorage.ecr.validation import validate
from tests.unit.ecr import contract_inputs


def read(operation: str, *parameters: tuple[str, str]) -> dict[str, Any]:
    """The input of a presigned call with these query parameters."""
    return query.read_input(OPERATIONS[operation], query.split(parameters), has_body=False)


@pytest.fixture(scope="module")
def client() -> Any:
    """A botocore client of ECR that never sends anything."""
    session = botocore.session.Session()
    session.set_credentials("AKIDEXAMPLE", "secret")
    return session.create_client("ecr", "eu-west-1", config=Config(parameter_validation=False))


def presigned(client: Any, operation: str, body: dict[str, Any]) -> query.Query:
    """What arrives of a call that botocore presigned."""
    method = next(m for m, name in client.meta.method_to_api_mapping.items() if name == operation)
    url = client.generate_presigned_url(method, Params=body)
    return query.split(parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=False))


def without_empty_lists(body: dict[str, Any]) -> dict[str, Any]:
    """A list without elements leaves no trace in a query string."""
    return {name: value for name, value in body.items() if value != []}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_botocore_presigns_is_read_back(client: Any, data: st.DataObject) -> None:
    """Any input that the contract allows comes back from the URL that botocore makes of it."""
    operation = data.draw(st.sampled_from([op for name, op in OPERATIONS.items() if name != "UploadLayerPart"]))
    body = data.draw(contract_inputs.values(operation.input))

    call = presigned(client, operation.name, body)

    assert call.action is None
    assert query.read_input(operation, call, has_body=False) == without_empty_lists(body)


def test_presigned_blob_is_read_back(client: Any) -> None:
    """A layer part travels as base64 and is decoded by validation."""
    operation = OPERATIONS["UploadLayerPart"]
    body = {
        "repositoryName": "ab",
        "uploadId": "5b3ad8ca-7b0f-4e4b-bd2c-6c9a0b9e3f9e",
        "partFirstByte": 0,
        "partLastByte": 3,
        "layerPartBlob": b"\xff\xfe\xfd\xfc",
    }

    call = presigned(client, operation.name, body)

    assert validate(operation, query.read_input(operation, call, has_body=False)) == body


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"scanOnPush":true}', {"scanOnPush": True}),
        ("{'scanOnPush': True}", {"scanOnPush": True}),
        (" {'a': [1, -2.5, None, False, {'b': \"it's\"}]} ", {"a": [1, -2.5, None, False, {"b": "it's"}]}),
        (r"{'a': '\\\'\n\x7f\u200b\U000e0001'}", {"a": "\\'\n\x7f\u200b\U000e0001"}),
        ("{}", {}),
    ],
)
def test_structure_is_json_or_a_python_literal(text: str, value: dict[str, Any]) -> None:
    """Both forms that clients write are understood."""
    assert read("CreateRepository", ("imageScanningConfiguration", text)) == {
        "imageScanningConfiguration": value
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{'a': print()}",
        "{'a': b'x'}",
        "{'a': f'x'}",
        "{'a': 1+2j}",
        "{'a': --1}",
        "{'a': (1,)}",
        "{'a': 1e9}",
        "{'a': 0x10}",
        "{'a': 1_000}",
        "{'a': 01}",
        "{'a': ...}",
        "{'a': True if True else False}",
        r"{'a': '\d'}",
        r"{'a': '\ud800'}",
        r"{'a': '\N{DIGIT ONE}'}",
        "{'a': 'b}",
        "{{}: 1}",
        "{'a': 1",
        "{'a': '\0'}",
        "[1][0]",
        "{'a': " + "[" * 64 + "]" * 64 + "}",
        "[" * 50_000,
        "-" * 50_000 + "1",
        "{'a': '" + "x" * 65_536 + "'}",
    ],
)
def test_structure_that_is_no_plain_literal_is_malformed(text: str) -> None:
    """Only bounded dicts, lists, strings, numbers and constants are taken; nothing is run."""
    with pytest.raises(MalformedRequest):
        read("CreateRepository", ("imageScanningConfiguration", text))


@given(st.text(st.sampled_from("{}[]()'\",:\\ \n1-.TrueNonxu0d8#"), max_size=40))
def test_arbitrary_structure_text_is_read_or_malformed(text: str) -> None:
    """Nothing but MalformedRequest comes out of hostile text, and what is read can be encoded."""
    try:
        given = read("CreateRepository", ("imageScanningConfiguration", text))
    except MalformedRequest:
        return
    repr(given).encode()


literals = st.recursive(
    st.text() | st.booleans() | st.integers(-(10**18), 10**18) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), literals, min_size=1, max_size=3))
def test_repr_of_any_json_object_is_read_back(value: dict[str, Any]) -> None:
    """Whatever ``repr`` writes of a JSON object is understood."""
    read_back = read("CreateRepository", ("imageScanningConfiguration", repr(value)))

    assert read_back["imageScanningConfiguration"] == value


@pytest.mark.parametrize(
    ("operation", "name", "text", "value"),
    [
        ("DeleteRepository", "force", "True", True),
        ("DeleteRepository", "force", "true", True),
        ("DeleteRepository", "force", "False", False),
        ("DeleteRepository", "force", "false", False),
        ("ListImages", "maxResults", "7", 7),
        ("ListImages", "maxResults", "-1", -1),
        ("ListImages", "repositoryName", "7", "7"),
        ("ListImages", "nextToken", "", ""),
    ],
)
def test_scalar_is_read_by_its_type(operation: str, name: str, text: str, value: object) -> None:
    """The contract says what a text stands for."""
    assert read(operation, (name, text)) == {name: value}


@pytest.mark.parametrize(
    ("operation", "name", "text"),
    [
        ("DeleteRepository", "force", "TRUE"),
        ("DeleteRepository", "force", "1"),
        ("ListImages", "maxResults", "1.0"),
        ("ListImages", "maxResults", " 1"),
        ("ListImages", "maxResults", "٣"),
        ("ListImages", "maxResults", "9" * 5000),
    ],
)
def test_scalar_of_another_type_is_malformed(operation: str, name: str, text: str) -> None:
    """No guessing at what was meant."""
    with pytest.raises(MalformedRequest):
        read(operation, (name, text))


def test_list_is_given_by_repetition() -> None:
    """Order is kept, one element is a list too."""
    assert read(
        "DescribeRepositories", ("repositoryNames", "b"), ("maxResults", "1"), ("repositoryNames", "a")
    ) == {
        "repositoryNames": ["b", "a"],
        "maxResults": 1,
    }


def test_signature_parameters_and_unknown_names_are_no_input() -> None:
    """What signs the call and what newer clients add is left out."""
    call = read(
        "ListImages", ("X-Amz-Date", "x"), ("X-Amz-Signature", "x"), ("somethingNew", "1"), ("Action", "x")
    )

    assert call == {}


def test_scalar_given_twice_conflicts() -> None:
    """Two values for one parameter have no order of precedence."""
    with pytest.raises(ConflictingParameters):
        read("ListImages", ("repositoryName", "a"), ("repositoryName", "a"))


def test_input_in_body_and_query_conflicts() -> None:
    """Input stands in one place."""
    call = query.split([("repositoryName", "a")])

    with pytest.raises(ConflictingParameters):
        query.read_input(OPERATIONS["ListImages"], call, has_body=True)


def test_body_with_signature_parameters_alone_is_no_conflict() -> None:
    """A presigned call may still have its input in the body."""
    call = query.split([("X-Amz-Signature", "x"), ("Action", "ListImages"), ("Version", "2015-09-21")])

    assert query.read_input(OPERATIONS["ListImages"], call, has_body=True) == {}


@pytest.mark.parametrize(
    ("target", "parameters"),
    [
        (f"{TARGET_PREFIX}.ListImages", []),
        (f"{TARGET_PREFIX}.ListImages", [("Action", "ListImages")]),
        (f"{TARGET_PREFIX}.ListImages", [("Version", "2011-06-15")]),
        (None, [("Action", "ListImages")]),
        (None, [("Version", "2015-09-21"), ("Action", "ListImages")]),
    ],
)
def test_operation_is_named_by_target_or_action(target: str | None, parameters: list[tuple[str, str]]) -> None:
    """Either will do, and both when they agree."""
    assert query.choose_operation(target, query.split(parameters)).name == "ListImages"


@pytest.mark.parametrize(
    ("target", "parameters", "shown"),
    [
        (f"{TARGET_PREFIX}.Nothing", [], f"{TARGET_PREFIX}.Nothing"),
        ("Other_V1.ListImages", [], "Other_V1.ListImages"),
        ("ListImages", [], "ListImages"),
        ("", [("Action", "ListImages")], ""),
        (None, [("Action", "Nothing")], "Nothing"),
        (None, [("Action", "x" * 9999)], "x" * 200),
        (None, [("Action", "ListImages"), ("Version", "2016-11-15")], "ListImages"),
    ],
)
def test_unknown_operation_is_refused(
    target: str | None, parameters: list[tuple[str, str]], shown: str
) -> None:
    """Another service's or version's operation is not ours; long names are cut."""
    with pytest.raises(OperationUnknown) as caught:
        query.choose_operation(target, query.split(parameters))

    assert caught.value.facts == {"operation": shown}


def test_call_without_operation_is_refused() -> None:
    """Neither target nor action."""
    with pytest.raises(OperationMissing):
        query.choose_operation(None, query.split([("Version", "2015-09-21")]))


def test_target_and_action_that_disagree_conflict() -> None:
    """Two operations in one call."""
    with pytest.raises(ConflictingParameters):
        query.choose_operation(f"{TARGET_PREFIX}.ListImages", query.split([("Action", "PutImage")]))


@pytest.mark.parametrize("name", ["Action", "Version"])
def test_action_given_twice_conflicts(name: str) -> None:
    """What was signed for must be unmistakable."""
    with pytest.raises(ConflictingParameters):
        query.split([(name, "a"), (name, "a")])


def test_lists_of_inputs_hold_nothing_that_a_query_cannot_carry() -> None:
    """Elements of lists at the top of an input are scalars or structures: a list of lists has no form here."""
    for operation in OPERATIONS.values():
        for of in SHAPES[operation.input].members.values():
            if SHAPES[of].kind is Kind.LIST:
                assert SHAPES[SHAPES[of].element].kind is not Kind.LIST, json.dumps(operation.name)
