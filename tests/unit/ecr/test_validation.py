"""Input validation in ECR's words."""

import base64
import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.domain.errors import InvalidParameter, MalformedRequest
from moorage.ecr import contract
from moorage.ecr.contract import OPERATIONS
from moorage.ecr.errors import describe
from moorage.ecr.shapes import Kind
from moorage.ecr.validation import validate
from tests.unit.ecr import contract_inputs

UPLOAD = "5b3ad8ca-7b0f-4e4b-bd2c-6c9a0b9e3f9e"


def refusal(operation: str, body: object) -> str:
    """The text a client reads for an input that fails a constraint."""
    with pytest.raises(InvalidParameter) as caught:
        validate(OPERATIONS[operation], body)
    return describe(caught.value, is_query=False).message


def invalid(path: str, constraint: str) -> str:
    """ECR's sentence."""
    return f"Invalid parameter at '{path}' failed to satisfy constraint: '{constraint}'"


REPOSITORY_NAME = (
    "must satisfy regular expression '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*'"
)

MUTABILITIES = "IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION"
OCCASIONS = "REPLICATION, PULL_THROUGH_CACHE, CREATE_ON_PUSH"


@pytest.mark.parametrize(
    ("operation", "body", "path", "constraint"),
    [
        ("CreateRepository", {"repositoryName": "Bad"}, "repositoryName", REPOSITORY_NAME),
        ("CreateRepository", {"repositoryName": "ab\n"}, "repositoryName", REPOSITORY_NAME),
        (
            "CreateRepository",
            {"repositoryName": "a"},
            "repositoryName",
            "must have length greater than or equal to 2",
        ),
        (
            "CreateRepository",
            {"repositoryName": "a" * 257},
            "repositoryName",
            "must have length less than or equal to 256",
        ),
        ("DescribeRepositories", {"repositoryNames": ["ok", "Bad"]}, "repositoryName", REPOSITORY_NAME),
        (
            "ListImages",
            {"repositoryName": "ab", "maxResults": 1001},
            "maxResults",
            "Member must have value less than or equal to 1000",
        ),
        (
            "ListImages",
            {"repositoryName": "ab", "maxResults": 0},
            "maxResults",
            "Member must have value greater than or equal to 1",
        ),
        (
            "PutImageTagMutability",
            {"repositoryName": "ab", "imageTagMutability": "mutable"},
            "imageTagMutability",
            f"Member must satisfy enum value set: [{MUTABILITIES}]",
        ),
        (
            "CreateRepositoryCreationTemplate",
            {"prefix": "ROOT", "appliedFor": ["PUSH"]},
            "appliedFor",
            f"Member must satisfy constraint: [Member must satisfy enum value set: [{OCCASIONS}]]",
        ),
        (
            "BatchGetImage",
            {"repositoryName": "ab", "imageIds": []},
            "imageIds",
            "Member must have length greater than or equal to 1",
        ),
        (
            "BatchGetImage",
            {"repositoryName": "ab", "imageIds": [{}] * 101},
            "imageIds",
            "Member must have length less than or equal to 100",
        ),
        (
            "BatchGetImage",
            {"repositoryName": "ab", "imageIds": [{}, {"imageTag": ""}]},
            "imageIds.2.member.imageTag",
            "Member must have length greater than or equal to 1",
        ),
        (
            "GetAuthorizationToken",
            {"registryIds": ["12345"]},
            "registryIds",
            "Member must satisfy constraint: [Member must satisfy regular expression pattern: [0-9]{12}]",
        ),
        (
            "GetAuthorizationToken",
            {"registryIds": [None]},
            "registryIds",
            "Member must satisfy constraint: [Member must not be null]",
        ),
        ("CreateRepository", {}, "repositoryName", "Member must not be null"),
        ("CreateRepository", {"repositoryName": None}, "repositoryName", "Member must not be null"),
        (
            "TagResource",
            {"resourceArn": "x", "tags": [{"Value": "v"}]},
            "tags.1.member.Key",
            "Member must not be null",
        ),
        (
            "CreateRepository",
            {"repositoryName": "ab", "encryptionConfiguration": {}},
            "encryptionConfiguration.encryptionType",
            "Member must not be null",
        ),
        (
            "PutReplicationConfiguration",
            {
                "replicationConfiguration": {
                    "rules": [{"destinations": [{"region": "r", "registryId": "012345678910"}]}]
                }
            },
            "replicationConfiguration.rules.1.member.destinations.1.member.region",
            "Member must have length greater than or equal to 2",
        ),
        (
            "PutLifecyclePolicy",
            {"repositoryName": "ab", "lifecyclePolicyText": "{}"},
            "lifecyclePolicyText",
            "Member must have length greater than or equal to 100",
        ),
    ],
)
def test_constraint_is_told_in_ecrs_words(operation: str, body: object, path: str, constraint: str) -> None:
    """Path and sentence are those that ECR's clients know."""
    assert refusal(operation, body) == invalid(path, constraint)


@pytest.mark.parametrize(
    ("operation", "body", "text"),
    [
        ("ListImages", [], "Expected an object"),
        ("ListImages", {"repositoryName": 1}, "Expected a string at 'repositoryName'"),
        ("ListImages", {"repositoryName": "ab", "maxResults": True}, "Expected an integer at 'maxResults'"),
        ("ListImages", {"repositoryName": "ab", "maxResults": 1.0}, "Expected an integer at 'maxResults'"),
        ("ListImages", {"repositoryName": "ab", "maxResults": "1"}, "Expected an integer at 'maxResults'"),
        ("ListImages", {"repositoryName": "ab", "filter": "TAGGED"}, "Expected an object at 'filter'"),
        ("DeleteRepository", {"repositoryName": "ab", "force": 1}, "Expected true or false at 'force'"),
        ("BatchGetImage", {"repositoryName": "ab", "imageIds": {}}, "Expected an array at 'imageIds'"),
        (
            "BatchGetImage",
            {"repositoryName": "ab", "imageIds": ["a"]},
            "Expected an object at 'imageIds.1.member'",
        ),
        (
            "BatchGetImage",
            {"repositoryName": "ab", "imageIds": [{}, {"imageTag": []}]},
            "Expected a string at 'imageIds.2.member.imageTag'",
        ),
        ("GetAuthorizationToken", {"registryIds": [1]}, "Expected a string at 'registryIds.1.member'"),
        (
            "UploadLayerPart",
            {"repositoryName": "ab", "uploadId": UPLOAD, "partFirstByte": 2**63},
            "Expected an integer of 64 bits at 'partFirstByte'",
        ),
    ],
)
def test_wrong_json_type_is_malformed(operation: str, body: object, text: str) -> None:
    """A wrong type is no matter of constraints, and the text says where it is."""
    with pytest.raises(MalformedRequest) as caught:
        validate(OPERATIONS[operation], body)

    assert caught.value.facts == {"text": text}


def test_null_and_unknown_members_are_dropped_at_every_level() -> None:
    """Newer clients send members we do not know; null is the same as absent."""
    body: dict[str, Any] = {
        "repositoryName": "ab",
        "registryId": None,
        "somethingNew": [1],
        "imageIds": [{"imageTag": "a", "imageDigest": None, "storage": {}}],
    }

    assert validate(OPERATIONS["BatchGetImage"], body) == {
        "repositoryName": "ab",
        "imageIds": [{"imageTag": "a"}],
    }


@pytest.mark.parametrize("tag", [{"Key": "k"}, {"Key": "k", "Value": None}])
def test_missing_tag_value_is_empty(tag: dict[str, Any]) -> None:
    """Clients of 2021 may leave the value out."""
    checked = validate(OPERATIONS["TagResource"], {"resourceArn": "x", "tags": [tag]})

    assert checked["tags"] == [{"Key": "k", "Value": ""}]


@pytest.mark.parametrize("name", ["a__b", "a---b/c.d", "0/1"])
def test_names_of_todays_grammar_are_taken(name: str) -> None:
    """The pattern in the text is narrower than what is accepted."""
    assert validate(OPERATIONS["CreateRepository"], {"repositoryName": name}) == {"repositoryName": name}


def part(blob: object) -> dict[str, Any]:
    """Input of UploadLayerPart with this blob."""
    return {
        "repositoryName": "ab",
        "uploadId": UPLOAD,
        "partFirstByte": 0,
        "partLastByte": 0,
        "layerPartBlob": blob,
    }


@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", bytes(range(256))])
def test_blob_is_decoded(data: bytes) -> None:
    """Operations get bytes."""
    checked = validate(OPERATIONS["UploadLayerPart"], part(base64.b64encode(data).decode()))

    assert checked["layerPartBlob"] == data


@pytest.mark.parametrize(
    "blob", ["a", "ab", "abc", "====", "ab==cd==", "a b=", "ab-_", "YQ==\n", "Märc", [], 1]
)
def test_blob_that_is_not_base64_is_malformed(blob: object) -> None:
    """Strict base64 of the standard alphabet, with its padding."""
    with pytest.raises(MalformedRequest):
        validate(OPERATIONS["UploadLayerPart"], part(blob))


@pytest.mark.parametrize(("size", "is_taken"), [(20_971_520, True), (20_971_521, False), (20_971_524, False)])
def test_blob_is_limited_by_its_decoded_length(size: int, is_taken: bool) -> None:
    """20,971,520 bytes are taken, one more is not."""
    body = part(base64.b64encode(bytes(size)).decode())

    if is_taken:
        assert len(validate(OPERATIONS["UploadLayerPart"], body)["layerPartBlob"]) == size
    else:
        assert refusal("UploadLayerPart", body) == invalid(
            "layerPartBlob", "Member must have length less than or equal to 20971520"
        )


def test_hostile_text_is_matched_in_linear_time() -> None:
    """The model's pattern of scan filters would try exponentially many splits of this; ours answers at once."""
    filters = [{"filter": "a" * 254 + "!", "filterType": "WILDCARD"}]
    body = {"rules": [{"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": filters}]}

    assert "rules.1.member.repositoryFilters.1.member.filter" in refusal(
        "PutRegistryScanningConfiguration", body
    )


@pytest.mark.parametrize(
    ("text", "is_taken"),
    [
        ("*", True),
        ("a*b", True),
        ("team/app", True),
        ("a._b", False),
        ("/a", False),
        ("a/", False),
        ("-", False),
    ],
)
def test_scan_filter_pattern_is_the_models_language(text: str, is_taken: bool) -> None:
    """The pattern that replaces the model's takes and refuses the same texts."""
    filters = [{"filter": text, "filterType": "WILDCARD"}]
    body = {"rules": [{"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": filters}]}

    if is_taken:
        assert validate(OPERATIONS["PutRegistryScanningConfiguration"], body) == body
    else:
        assert "regular expression" in refusal("PutRegistryScanningConfiguration", body)


def decoded(shape_name: str, value: Any) -> Any:
    """What validation makes of a valid value: the same, with blobs as bytes."""
    shape = contract.SHAPES[shape_name]
    if shape.kind is Kind.BLOB:
        return base64.b64decode(value)
    if shape.kind is Kind.LIST:
        return [decoded(shape.element, element) for element in value]
    if shape.kind is Kind.STRUCTURE:
        return {name: decoded(shape.members[name], member) for name, member in value.items()}
    return value


operations = st.sampled_from(list(OPERATIONS.values()))
thorough = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@thorough
@given(operations, st.data())
def test_valid_input_passes(operation: Any, data: st.DataObject) -> None:
    """Whatever the contract allows is returned as it was given."""
    body = data.draw(contract_inputs.values(operation.input))

    assert validate(operation, body) == decoded(operation.input, body)


@thorough
@given(operations, st.data())
def test_mutated_input_passes_or_is_refused(operation: Any, data: st.DataObject) -> None:
    """Nothing but MalformedRequest and InvalidParameter comes out of wrong input."""
    body = contract_inputs.replace_somewhere(data, data.draw(contract_inputs.values(operation.input)))

    with contextlib.suppress(MalformedRequest, InvalidParameter):
        checked = validate(operation, body)
        assert set(checked) <= set(contract.SHAPES[operation.input].members)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_missing_required_member_is_told_by_name(operation: Any) -> None:
    """Every operation with required members names the first one that is missing."""
    shape = contract.SHAPES[operation.input]
    first = next((name for name in shape.members if name in shape.required), None)

    if first is None:
        assert validate(operation, {}) == {}
    else:
        assert refusal(operation.name, {}) == invalid(first, "Member must not be null")
