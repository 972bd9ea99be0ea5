"""What a token's claims become, and ARNs of roles."""

import pytest

from moorage.domain.errors import InvalidRequest
from moorage.domain.iam import RoleArn
from moorage.services.sessions import claim_facts

ISSUER = "Issuer.test/Realm"


def test_claims_become_condition_keys_in_small_letters() -> None:
    """Texts, numbers, truths and lists of texts; nothing else can be compared."""
    claims = {
        "sub": "Repo",
        "aud": ["a", "b"],
        "Run": 7,
        "protected": True,
        "nested": {"x": 1},
        "mixed": ["a", 1, None],
        "none": None,
    }
    assert claim_facts(ISSUER, claims) == {
        "issuer.test/realm:sub": ("Repo",),
        "issuer.test/realm:aud": ("a", "b"),
        "issuer.test/realm:run": ("7",),
        "issuer.test/realm:protected": ("true",),
        "issuer.test/realm:mixed": ("a",),
    }


def test_a_claim_cannot_pass_for_another_issuers_key() -> None:
    """Nor for a key of AWS: each begins with the issuer that was proven, and has no other colon."""
    claims = {"aws:PrincipalTag/team": "red", "8443:sub": "somebody", "x": "y"}
    assert claim_facts("evil.test", claims) == {"evil.test:x": ("y",)}


def test_a_claim_cannot_stand_in_for_one_that_differs_in_its_capitals() -> None:
    """Condition keys know no capitals; claims do, and people choose some of them."""
    assert claim_facts("issuer.test", {"sub": "mine", "Sub": "yours", "SUB": "theirs"}) == {
        "issuer.test:sub": ("mine",)
    }
    assert claim_facts("issuer.test", {"Ref": "main", "REF": "other"}) == {}


@pytest.mark.parametrize("path", ["/", "/ci/", "/a/b/"])
def test_the_arn_of_a_role_is_read_and_written(path: str) -> None:
    """A session's ARN leaves the path out."""
    arn = RoleArn.parse(f"arn:aws:iam::000000000000:role{path}builder")
    assert (arn.path, arn.name) == (path, "builder")
    assert str(arn) == f"arn:aws:iam::000000000000:role{path}builder"
    assert arn.session_arn("ci") == "arn:aws:sts::000000000000:assumed-role/builder/ci"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "builder",
        "arn:aws:iam::000000000000:user/builder",
        "arn:aws:iam::000000000000:role/",
        "arn:aws:iam::00000000000:role/builder",
        "arn:aws:iam::000000000000:role/build er",
        "arn:aws:iam:us-east-1:000000000000:role/builder",
        "arn:aws:sts::000000000000:assumed-role/builder/ci",
        "arn:aws:iam::000000000000:role/" + "x" * 3000,
    ],
)
def test_what_is_no_arn_of_a_role_is_refused(text: str) -> None:
    """Users, sessions, other forms."""
    with pytest.raises(InvalidRequest):
        RoleArn.parse(text)
