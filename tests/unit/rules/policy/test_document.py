"""The grammar of policies: what is read, and how; what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.ecr import contract
from moorage.rules.policy import actions, document
from moorage.rules.policy.document import Kind, PolicyInvalid
from moorage.rules.policy.principals import Grade
from moorage.rules.policy.request import ANONYMOUS, Principal, PrincipalKind
from tests.unit.rules.policy.asked import (
    ALICE,
    BOB,
    OURS,
    PULL,
    REPOSITORY,
    ROOT,
    SESSION,
    THEIRS,
    asked,
    judged,
)


def _parse(kind: Kind = Kind.IDENTITY, version: str = "2012-10-17", **members: object) -> document.Policy:
    """A policy of one statement: an Allow of everything but for what is given."""
    whole: dict[str, object] = {"Effect": "Allow", "Action": "ecr:*"}
    if kind is not Kind.IDENTITY and "NotPrincipal" not in members:
        whole["Principal"] = "*"
    if kind in {Kind.IDENTITY, Kind.REGISTRY} and "NotResource" not in members:
        whole["Resource"] = "*"
    statement = {name: value for name, value in (whole | members).items() if value is not None}
    return document.parse(json.dumps({"Version": version, "Statement": [statement]}), kind)


def test_the_actions_are_those_of_the_contract() -> None:
    """Every operation is an action but the one that goes by another's name; no action is made up."""
    assert set(contract.OPERATIONS) - {"ListImageReferrers"} == actions.NAMES - actions.PERMISSION_ONLY


@pytest.mark.parametrize("kind", Kind)
def test_a_policy_may_be_without_statements(kind: Kind) -> None:
    """It decides nothing."""
    assert judged(document.parse('{"Statement": []}', kind), asked()) is None


def test_everything_that_the_grammar_has_is_read() -> None:
    """One policy with all elements, a statement that is not in a list, bytes as well as text."""
    statement = {
        "Sid": "any text, here",
        "Effect": "Deny",
        "NotPrincipal": {"AWS": [THEIRS, ALICE.arn], "Service": "ecs.amazonaws.com", "Federated": "a.example"},
        "NotAction": ["ecr:Put*", "ecr:batchGETimage"],
        "NotResource": REPOSITORY,
        "Condition": {"Bool": {"aws:SecureTransport": False}},
    }
    text = json.dumps({"Version": "2012-10-17", "Id": "x", "Statement": statement})
    policy = document.parse(text, Kind.REPOSITORY)
    assert document.parse(text.encode(), Kind.REPOSITORY).principal_arns == policy.principal_arns
    [read] = policy.statements
    assert (read.sid, read.label, read.number, read.is_allow) == ("any text, here", "any text, here", 1, False)
    assert policy.principal_arns == {ALICE.arn}


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ({"Action": "*"}, True),
        ({"Action": "ecr:*"}, True),
        ({"Action": "ecr:batchgetimage"}, True),
        ({"Action": ["ecr:Put*", "ECR:Batch???Image"]}, True),
        ({"Action": "ecr:BatchGet"}, False),
        ({"Action": "s3:*"}, False),
        ({"Action": None, "NotAction": "ecr:Put*"}, True),
        ({"Action": None, "NotAction": ["ecr:Put*", "ecr:*Image"]}, False),
        ({"Resource": REPOSITORY}, True),
        ({"Resource": "arn:aws:ecr:*:*:repository/app/*"}, True),
        ({"Resource": "arn:aws:ecr:eu-central-1:111111111111:repository/app*b"}, True),
        ({"Resource": "arn:aws:ecr:eu-central-?:111111111111:repository/app/web"}, True),
        ({"Resource": "arn:aws:ecr:*:repository/app/web"}, False),
        ({"Resource": "arn:aws:ecr:*/app/web"}, False),
        ({"Resource": "arn:aws:ecr"}, True),
        ({"Resource": "arn:aws:ecr:*"}, True),
        ({"Resource": "arn:*"}, True),
        ({"Resource": "arn:aws:ecr:EU-central-1:111111111111:repository/app/web"}, False),
        ({"Resource": f"arn:aws:ecr:*:{THEIRS}:repository/*"}, False),
        ({"Resource": "arn:aws:ecr:*:${aws:PrincipalAccount}:repository/*"}, True),
        ({"Resource": "arn:aws:ecr:*:*:repository/${aws:username}/*"}, False),
        ({"Resource": "arn:aws:ecr:*:*:repository/${aws:PrincipalTag/team, 'app'}/*"}, True),
        ({"Resource": "arn:aws:ecr:*:*:repository/${aws:PrincipalTag/team}/*"}, False),
        ({"NotResource": "arn:aws:ecr:*:*:repository/secret/*"}, True),
        ({"NotResource": ["arn:aws:ecr:*:*:repository/secret/*", REPOSITORY]}, False),
        ({"NotResource": "arn:aws:ecr:*:*:repository/${aws:PrincipalTag/team}/*"}, False),
    ],
)
def test_actions_and_resources_are_covered_as_documented(element: dict[str, Any], expected: bool) -> None:
    """Actions in letters of any size, resources exactly, each part of an ARN by itself."""
    assert (judged(_parse(**element), asked()) is not None) is expected


def test_a_deny_but_for_a_variable_without_value_denies() -> None:
    """The exception cannot be told, so nothing is excepted."""
    policy = _parse(Effect="Deny", NotResource="arn:aws:ecr:*:*:repository/${aws:PrincipalTag/team}/*")
    assert judged(policy, asked()) is not None


def test_only_a_star_covers_what_has_no_resource() -> None:
    """GetAuthorizationToken is no action on repositories."""
    for resource, expected in [("*", True), ("arn:aws:ecr:*:*:*", False), (REPOSITORY, False)]:
        found = judged(_parse(Resource=resource), asked(action="ecr:GetAuthorizationToken", resource="*"))
        assert (found is not None) is expected


@pytest.mark.parametrize(
    ("principal", "who", "expected"),
    [
        ("*", ALICE, Grade.GRANTED),
        ({"AWS": "*"}, ANONYMOUS, Grade.GRANTED),
        ({"AWS": OURS}, ALICE, Grade.ACCOUNT),
        ({"AWS": f"arn:aws:iam::{OURS}:root"}, SESSION, Grade.ACCOUNT),
        ({"AWS": f"arn:aws:iam::{OURS}:root"}, ROOT, Grade.DIRECT),
        ({"AWS": [OURS]}, BOB, None),
        ({"AWS": [OURS, THEIRS]}, BOB, Grade.ACCOUNT),
        ({"AWS": ALICE.arn}, ALICE, Grade.DIRECT),
        ({"AWS": [OURS, ALICE.arn]}, ALICE, Grade.DIRECT),
        ({"AWS": ALICE.arn}, SESSION, None),
        ({"AWS": SESSION.role_arn}, SESSION, Grade.GRANTED),
        ({"AWS": SESSION.arn}, SESSION, Grade.DIRECT),
        ({"AWS": ["*", SESSION.arn]}, SESSION, Grade.DIRECT),
        ({"AWS": OURS}, ANONYMOUS, None),
        ({"Service": "ecs.amazonaws.com"}, ALICE, None),
        ({"Service": "ecs.amazonaws.com"}, Principal(PrincipalKind.SERVICE, "ecs.amazonaws.com"), Grade.DIRECT),
        ({"Federated": "a.example"}, Principal(PrincipalKind.WEB_IDENTITY, "a.example"), Grade.DIRECT),
        ({"Federated": "a.example"}, Principal(PrincipalKind.WEB_IDENTITY, "b.example"), None),
    ],
)
def test_principals_are_meant_more_or_less_directly(
    principal: object, who: Principal, expected: Grade | None
) -> None:
    """By everybody, their account, their role, or themselves."""
    found = judged(_parse(Kind.REPOSITORY, Principal=principal), asked(who))
    assert (found[1] if found else None) == expected


@pytest.mark.parametrize(
    ("effect", "names", "who", "expected"),
    [
        ("Allow", [ALICE.arn], ALICE, False),
        ("Allow", [OURS], ALICE, False),
        ("Allow", [THEIRS], ALICE, True),
        ("Deny", [ALICE.arn], ALICE, False),
        ("Deny", [OURS], ALICE, True),
        ("Deny", [OURS], ROOT, False),
        ("Deny", [OURS, SESSION.role_arn], SESSION, False),
        ("Deny", [ALICE.arn], BOB, True),
        ("Deny", [ALICE.arn], ANONYMOUS, True),
    ],
)
def test_a_principal_that_is_not_meant(effect: str, names: list[str], who: Principal, expected: bool) -> None:
    """An Allow leaves out whole accounts, a Deny only who is named itself."""
    found = judged(_parse(Kind.REPOSITORY, Effect=effect, NotPrincipal={"AWS": names}), asked(who))
    assert (found is not None) is expected


def test_claims_of_web_identities_are_keys_of_trust_policies_alone() -> None:
    """Elsewhere they are unknown, so that an Allow that rests on them never applies."""
    condition = {"StringEquals": {"oidc.example/id/1:sub": "repo:a"}}
    request = asked(Principal(PrincipalKind.WEB_IDENTITY, "p"), "sts:AssumeRoleWithWebIdentity")
    claims = {"oidc.example/id/1:sub": ("repo:a",)}
    request = type(request)(request.principal, request.action, request.resource, OURS, claims)
    trust = _parse(Kind.TRUST, Action="sts:*", Principal={"Federated": "p"}, Condition=condition)
    assert judged(trust, request) is not None
    identity = _parse(Action="sts:*", Condition=condition)
    assert judged(identity, request) is None


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("accounts.google.com:aud", True),
        ("oidc.eks.eu-central-1.amazonaws.com/id/1A2B:sub", True),
        ("localhost:8443:sub", True),
        ("127.0.0.1:8443/realm/a:email_verified", True),
        ("aws:SourceVpc", False),
        ("localhost:sub", False),
    ],
)
def test_claims_go_by_the_address_of_their_issuer(key: str, expected: bool) -> None:
    """With its port and path; a word alone is a service, whose other keys are unknown."""
    condition = {"StringEquals": {key: "x"}}
    policy = _parse(Kind.TRUST, Action="sts:AssumeRoleWithWebIdentity", Condition=condition)
    request = asked(Principal(PrincipalKind.WEB_IDENTITY, "p"), "sts:AssumeRoleWithWebIdentity")
    assert (judged(policy, request._replace(context={key.lower(): ("x",)})) is not None) is expected


@pytest.mark.parametrize(("effect", "expected"), [("Allow", False), ("Deny", True)])
def test_an_unknown_key_fails_closed(effect: str, expected: bool) -> None:
    """An Allow never applies, a Deny does, unless another condition is certainly not met."""
    unknown: dict[str, object] = {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}
    assert (judged(_parse(Effect=effect, Condition=unknown), asked()) is not None) is expected
    unmet = unknown | {"Null": {"aws:username": "true"}}
    assert judged(_parse(Effect=effect, Condition=unmet), asked()) is None


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        (Kind.IDENTITY, {"Effect": "allow"}),
        (Kind.IDENTITY, {"Effect": None}),
        (Kind.IDENTITY, {"Action": None}),
        (Kind.IDENTITY, {"Action": []}),
        (Kind.IDENTITY, {"Action": ["ecr:*", 1]}),
        (Kind.IDENTITY, {"Action": "PutImage"}),
        (Kind.IDENTITY, {"Action": "e*:PutImage"}),
        (Kind.IDENTITY, {"NotAction": "ecr:*"}),
        (Kind.IDENTITY, {"Resource": None}),
        (Kind.IDENTITY, {"Resource": "app/web"}),
        (Kind.IDENTITY, {"Resource": "arn"}),
        (Kind.IDENTITY, {"Resource": {}}),
        (Kind.IDENTITY, {"Resource": "arn:aws:ecr:${x"}),
        (Kind.IDENTITY, {"Principal": "*"}),
        (Kind.IDENTITY, {"NotPrincipal": {"AWS": OURS}}),
        (Kind.IDENTITY, {"Sid": "two words"}),
        (Kind.IDENTITY, {"Sid": 1}),
        (Kind.IDENTITY, {"sid": "a"}),
        (Kind.IDENTITY, {"Condition": []}),
        (Kind.IDENTITY, {"version": "2015-10-17"}),
        (Kind.REPOSITORY, {"Principal": None}),
        (Kind.REPOSITORY, {"Principal": []}),
        (Kind.REPOSITORY, {"Principal": {}}),
        (Kind.REPOSITORY, {"Principal": ALICE.arn}),
        (Kind.REPOSITORY, {"Principal": {"aws": OURS}}),
        (Kind.REPOSITORY, {"Principal": {"AWS": []}}),
        (Kind.REPOSITORY, {"Principal": {"AWS": [1]}}),
        (Kind.REPOSITORY, {"Principal": {"AWS": "12345"}}),
        (Kind.REPOSITORY, {"Principal": {"AWS": f"arn:aws:iam::{OURS}:user/*"}}),
        (Kind.REPOSITORY, {"Principal": {"AWS": f"arn:aws:iam::{OURS}:group/a"}}),
        (Kind.REPOSITORY, {"Principal": {"AWS": f"arn:aws:sts::{OURS}:assumed-role/deploy/*"}}),
        (Kind.REPOSITORY, {"Principal": {"Service": "*"}}),
        (Kind.REPOSITORY, {"NotPrincipal": {"AWS": OURS}, "Principal": "*"}),
        (Kind.REPOSITORY, {"Action": "ecr:Pull"}),
        (Kind.REPOSITORY, {"Action": "ecr:Pull*"}),
        (Kind.REPOSITORY, {"Action": "s3:GetObject"}),
        (Kind.REGISTRY, {"Action": "s3:*"}),
        (Kind.REGISTRY, {"Resource": None}),
        (Kind.TRUST, {"Resource": "*"}),
        (Kind.TRUST, {"Principal": None}),
    ],
)
def test_what_is_no_policy_of_its_kind_is_refused(kind: Kind, members: dict[str, object]) -> None:
    """With a reason, which is a sentence of ours."""
    version = str(members.get("version", "2012-10-17"))
    rest = {name: value for name, value in members.items() if name != "version"}
    with pytest.raises(PolicyInvalid, match=r"\w+ .*\w") as refusal:
        _parse(kind, version, **rest)
    assert refusal.value.reason == str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '"x"',
        '{"Statement": [], "Statement": []}',
        '{"Statement": "x"}',
        '{"Statement": [[]]}',
        '{"Statement": [], "Extra": 1}',
        '{"Statement": [], "Id": 1}',
        '{"Statement": [], "Version": 1}',
        '{"Statement": [], "Version": []}',
        '{"Statement": [], "Id": "\\ud800"}',
        "\ud800",
        "[" * 100_000,
    ],
)
def test_what_is_no_policy_at_all_is_refused(text: str) -> None:
    """Bad JSON, JSON of other things, members given twice."""
    for kind in Kind:
        with pytest.raises(PolicyInvalid):
            document.parse(text, kind)


def test_a_sid_may_be_used_twice_in_policies_of_resources_only() -> None:
    """ECR does not mind, IAM does."""
    statement: dict[str, object] = {"Sid": "a", "Effect": "Deny", "Action": PULL, "Resource": "*"}
    with pytest.raises(PolicyInvalid):
        document.parse(json.dumps({"Statement": [statement, statement]}), Kind.IDENTITY)
    statement["Principal"] = "*"
    assert len(document.parse(json.dumps({"Statement": [statement] * 2}), Kind.REPOSITORY).statements) == 2


def test_a_text_is_compiled_once() -> None:
    """For each kind, as the same text may be a policy of one and not of the other."""
    texts = ['{"Statement": [],  "Id": "once"}'.replace("  ", gap) for gap in (" ", " ", "\t")]
    first, again, other = (document.parse(text, Kind.REPOSITORY) for text in texts)
    assert first is again
    assert other is not first
    assert document.parse(texts[0], Kind.IDENTITY) is not first


def test_a_text_of_much_white_space_is_not_kept() -> None:
    """Many of them would fill the memory; what they say is the same."""
    text = '{"Statement": []' + " " * 20_480 + "}"
    first, again = (document.parse(text, Kind.IDENTITY) for _ in range(2))
    assert first is not again
    assert first.statements == again.statements


_WORDS = st.sampled_from(
    [
        "*",
        "Allow",
        "Deny",
        "ecr:*",
        "ecr:PutImage",
        "AWS",
        OURS,
        ALICE.arn,
        "${a}",
        "${",
        "StringLike",
        "Bool",
        "true",
    ]
)
_NAMES = st.sampled_from(
    ["Version", "Statement", "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource",
     "Condition", "AWS", "Service", "StringLike", "Null", "aws:SourceIp", "x"]
)  # fmt: skip
_GARBAGE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _WORDS
    | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)
_STATEMENT = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Action": _WORDS | _GARBAGE, "Resource": _WORDS | _GARBAGE},
    optional={
        "Principal": _GARBAGE,
        "Condition": st.dictionaries(_WORDS, _GARBAGE, max_size=2),
        "Sid": _GARBAGE,
    },
)


@settings(max_examples=200)
@given(
    text=st.binary(max_size=20)
    | st.text(max_size=20).map(lambda text: text.encode(errors="surrogatepass"))
    | (_GARBAGE | st.fixed_dictionaries({"Statement": st.lists(_STATEMENT, max_size=2) | _GARBAGE})).map(
        lambda value: json.dumps(value).encode()
    ),
    kind=st.sampled_from(Kind),
)
def test_garbage_is_read_or_refused(text: bytes, kind: Kind) -> None:
    """Nothing but PolicyInvalid comes of it, and what is read can be judged by."""
    try:
        policy = document.parse(text, kind)
    except PolicyInvalid:
        return
    found = judged(policy, asked())
    assert found is None or found[0].obstacle(asked()) is None
