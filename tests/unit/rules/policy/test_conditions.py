"""The worked examples of the IAM documentation on conditions: operators, absent keys, sets of values, variables."""

import pytest

from moorage.rules.policy.conditions import compile_block
from moorage.rules.policy.invalid import PolicyInvalid
from moorage.rules.policy.request import Request
from tests.unit.rules.policy.asked import ALICE, BOB, OURS, REPOSITORY, SESSION

Values = tuple[str, ...] | None


def _holds(operator: str, wanted: object, found: Values, key: str = "aws:useragent") -> bool | None:
    """What one condition comes to for a key with these values."""
    [condition] = compile_block({operator: {key: wanted}}, with_variables=True, with_claims=False)
    context = {} if found is None else {key.lower(): found}
    return condition.holds(Request(ALICE, "ecr:PutImage", REPOSITORY, OURS, context))


@pytest.mark.parametrize(
    ("operator", "wanted", "found", "expected"),
    [
        ("StringEquals", "docker", "docker", True),
        ("StringEquals", "docker", "Docker", False),
        ("StringEquals", "dock*", "docker", False),
        ("StringEquals", ["a", "docker"], "docker", True),
        ("StringNotEquals", "docker", "Docker", True),
        ("StringNotEquals", ["a", "docker"], "docker", False),
        ("StringEqualsIgnoreCase", "docker", "DOCKER", True),
        ("StringNotEqualsIgnoreCase", "docker", "DOCKER", False),
        ("StringLike", "dock*r", "docker", True),
        ("StringLike", "Dock*", "docker", False),
        ("StringLike", "dock?", "dock", False),
        ("StringNotLike", ["x*", "dock*"], "docker", False),
        ("NumericEquals", "1", "1.0", True),
        ("NumericEquals", 1, "1", True),
        ("NumericNotEquals", "1", "2", True),
        ("NumericLessThan", "10", "9", True),
        ("NumericLessThan", "10", "10", False),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "10", "9", False),
        ("NumericGreaterThanEquals", "10.5", "10.50", True),
        ("NumericEquals", "1", "one", False),
        ("NumericNotEquals", "1", "one", True),
        ("DateEquals", "2026-01-01T00:00:00Z", "1767225600", True),
        ("DateEquals", "2026", "2026-01-01T01:00:00+01:00", True),
        ("DateNotEquals", "2026-01", "2026-01-01T00:00:00.5Z", True),
        ("DateLessThan", "2026-06-30T00:00:00Z", "2026-06-29T23:59:59Z", True),
        ("DateLessThanEquals", "2026-06-30", "2026-06-30T00:00Z", True),
        ("DateGreaterThan", "1767225600", "2026-01-01T00:00:01Z", True),
        ("DateGreaterThanEquals", "2026-07-01T00:00:00Z", "2026-06-30T00:00:00Z", False),
        ("Bool", "true", "true", True),
        ("Bool", True, "True", True),
        ("Bool", "false", "true", False),
        ("BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", True),
        ("BinaryEquals", "AAAA", "BBBB", False),
        ("IpAddress", "203.0.113.0/24", "203.0.113.7", True),
        ("IpAddress", ["10.0.0.0/8", "2001:db8:1234:5678::/64"], "2001:db8:1234:5678::9", True),
        ("IpAddress", "203.0.113.0/24", "::ffff:203.0.113.7", True),
        ("IpAddress", "::ffff:203.0.113.0/120", "203.0.113.7", True),
        ("IpAddress", "::ffff:203.0.113.0/120", "::ffff:203.0.113.7", True),
        ("IpAddress", "::ffff:10.0.0.0/104", "10.9.8.7", True),
        ("IpAddress", "::ffff:10.0.0.0/104", "11.0.0.1", False),
        ("IpAddress", "::ffff:203.0.113.7", "203.0.113.7", True),
        ("IpAddress", "::ffff:0:0/96", "203.0.113.7", True),
        ("IpAddress", "::ffff:0:0/96", "2001:db8::1", False),
        ("IpAddress", "::/0", "2001:db8::1", True),
        ("IpAddress", "203.0.113.7", "203.0.113.8", False),
        ("NotIpAddress", "203.0.113.0/24", "198.51.100.1", True),
        ("NotIpAddress", "0.0.0.0/0", "2001:db8::1", True),
        ("ArnEquals", "arn:aws:iam::*:user/al?ce", "arn:aws:iam::1:user/alice", True),
        ("ArnLike", "arn:aws:iam::*:role/x", "arn:aws:iam::1:user/y:role/x", False),
        ("ArnLike", "arn:aws:sns:*:1:a:*", "arn:aws:sns:r:1:a:b:c", True),
        ("ArnNotLike", "arn:aws:iam::*:role/*", "arn:aws:iam::1:user/alice", True),
        ("ArnNotEquals", "arn:aws:iam::1:role/a", "arn:aws:iam::1:role/a", False),
        ("ArnLike", "arn:aws:iam::1:role/a", "no ARN", False),
    ],
)
def test_operators_compare_as_documented(operator: str, wanted: object, found: str, expected: bool) -> None:
    """One value of the request with one or several of the policy; a negated operator wants none to match."""
    assert _holds(operator, wanted, (found,)) is expected


@pytest.mark.parametrize("found", [None, ()])
@pytest.mark.parametrize(
    ("operator", "wanted", "expected"),
    [
        ("StringEquals", "a", False),
        ("StringNotEquals", "a", True),
        ("StringEqualsIfExists", "a", True),
        ("StringNotEqualsIfExists", "a", True),
        ("StringLike", "*", False),
        ("StringNotLike", "*", True),
        ("Bool", "false", False),
        ("BoolIfExists", "false", True),
        ("NumericLessThan", "1", False),
        ("DateGreaterThan", "2026", False),
        ("IpAddress", "0.0.0.0/0", False),
        ("NotIpAddress", "0.0.0.0/0", True),
        ("ArnLike", "arn:aws:iam::1:*", False),
        ("ArnNotLike", "arn:aws:iam::1:*", True),
        ("ForAllValues:StringEquals", "a", True),
        ("ForAllValues:StringNotEquals", "a", True),
        ("ForAnyValue:StringEquals", "a", False),
        ("ForAnyValue:StringNotEquals", "a", False),
        ("ForAnyValue:StringEqualsIfExists", "a", False),
        ("Null", "true", True),
        ("Null", "false", False),
        ("Null", ["true", "false"], True),
    ],
)
def test_a_key_that_the_request_has_not(operator: str, wanted: object, found: Values, expected: bool) -> None:
    """Plain operators are false, negated ones and IfExists true; a key without a value is like none."""
    assert _holds(operator, wanted, found, "aws:TagKeys") is expected


@pytest.mark.parametrize(
    ("operator", "wanted", "found", "expected"),
    [
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "b"), True),
        ("ForAllValues:StringEquals", ["a", "b"], ("a",), True),
        ("ForAllValues:StringEquals", ["a", "b"], ("a", "c"), False),
        ("ForAllValues:StringNotEquals", ["a", "b"], ("c", "d"), True),
        ("ForAllValues:StringNotEquals", ["a", "b"], ("a", "d"), False),
        ("ForAnyValue:StringEquals", ["a", "b"], ("c", "b"), True),
        ("ForAnyValue:StringEquals", ["a", "b"], ("c", "d"), False),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ("a", "c"), True),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ("a", "b"), False),
        ("ForAnyValue:StringLike", "env-*", ("x", "env-a"), True),
        ("ForAllValues:NumericLessThan", "5", ("1", "7"), False),
        ("StringEquals", "a", ("b", "a"), True),
        ("StringNotEquals", "a", ("b", "a"), False),
        ("Null", "false", ("a", "b"), True),
    ],
)
def test_several_values_of_the_request(
    operator: str, wanted: object, found: tuple[str, ...], expected: bool
) -> None:
    """The set operators say how many have to pass; without one, a single match decides."""
    assert _holds(operator, wanted, found, "aws:TagKeys") is expected


def test_operators_and_keys_are_known_in_letters_of_any_size() -> None:
    """As in IAM, where examples write them in several ways."""
    assert _holds("stringlike", "a*", ("abc",), "AWS:UserAgent") is True
    assert _holds("FORANYVALUE:stringEQUALS", "a", ("a",), "aws:tagKEYS") is True


@pytest.mark.parametrize("operator", ["StringEquals", "StringNotEquals", "StringEqualsIfExists", "Null"])
def test_an_unknown_key_cannot_be_judged(operator: str) -> None:
    """Whatever the operator and whatever the request says."""
    assert _holds(operator, "true", ("true",), "aws:SourceVpce") is None
    assert _holds(operator, "true", None, "aws:PrincipalTag/") is None


def test_what_is_not_equal_to_a_variable_without_value_cannot_be_judged() -> None:
    """Equality with it is false; if another value is equal, that decides."""
    assert _holds("StringEquals", "${aws:PrincipalTag/x}", ("a",)) is False
    assert _holds("StringNotEquals", "${aws:PrincipalTag/x}", ("a",)) is None
    assert _holds("StringNotEquals", ["${aws:PrincipalTag/x}", "a"], ("a",)) is False
    assert _holds("ForAnyValue:StringNotEquals", "${aws:PrincipalTag/x}", ("a",)) is None
    assert _holds("ArnNotLike", "${aws:PrincipalTag/x}", ("a",)) is None


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ("${aws:username}", "alice", True),
        ("${AWS:UserName}", "alice", True),
        ("home/${aws:username}/*", "home/alice/x", True),
        ("home/${aws:username}/*", "home/bob/x", False),
        ("${aws:PrincipalTag/team, 'nobody'}", "nobody", True),
        ("${ aws:PrincipalTag/team ,'a b' }", "a b", True),
        ("a${*}", "a*", True),
        ("a${*}", "abc", False),
        ("a${?}c", "abc", False),
        ("${$}{x}", "${x}", True),
        ("${aws:principaltype}-${aws:userid}", "User-AIDAALICE", True),
    ],
)
def test_variables_stand_for_what_the_request_says(wanted: str, found: str, expected: bool) -> None:
    """In StringLike, where they may meet wildcards; a default stands in for what is absent."""
    assert _holds("StringLike", wanted, (found,)) is expected


def test_what_a_variable_brings_in_is_no_wildcard() -> None:
    """A user agent of ``*`` does not make everything match."""
    [condition] = compile_block(
        {"StringLike": {"ecr:ImageTag": "${aws:useragent}-?"}}, with_variables=True, with_claims=False
    )
    for agent, tag, expected in [("*", "a-1", False), ("*", "*-1", True), ("v?", "v1-1", False)]:
        context = {"aws:useragent": (agent,), "ecr:imagetag": (tag,)}
        assert condition.holds(Request(ALICE, "ecr:PutImage", REPOSITORY, OURS, context)) is expected


def test_a_variable_stays_in_its_part_of_an_arn() -> None:
    """A value with colons cannot stand for more than the part it is in; alone it may be a whole ARN."""
    [condition] = compile_block(
        {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::${aws:useragent}:user/team/alice"}},
        with_variables=True,
        with_claims=False,
    )
    for agent, expected in [(OURS, True), ("*", False), (f"{OURS}:user/team/alice", False)]:
        request = Request(ALICE, "ecr:PutImage", REPOSITORY, OURS, {"aws:useragent": (agent,)})
        assert condition.holds(request) is expected
    assert _holds("ArnEquals", "${aws:PrincipalArn}", (ALICE.arn,)) is True


def test_in_policies_of_2008_variables_are_plain_text() -> None:
    """As they were before there were any."""
    [condition] = compile_block(
        {"StringEquals": {"aws:UserAgent": "${aws:username}"}}, with_variables=False, with_claims=False
    )
    for agent, expected in [("alice", False), ("${aws:username}", True)]:
        request = Request(ALICE, "ecr:PutImage", REPOSITORY, OURS, {"aws:useragent": (agent,)})
        assert condition.holds(request) is expected


def test_keys_of_the_principal_come_from_the_principal() -> None:
    """A session goes by its role and has no user name, whatever the context says of it."""
    block = {"StringEquals": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/deploy"}}
    [by_arn] = compile_block(block, with_variables=True, with_claims=False)
    [has_name] = compile_block({"Null": {"aws:username": "false"}}, with_variables=True, with_claims=False)
    lies = {"aws:principalarn": ("x",), "aws:username": ("x",)}
    assert by_arn.holds(Request(SESSION, "ecr:PutImage", REPOSITORY, OURS, lies)) is True
    assert has_name.holds(Request(SESSION, "ecr:PutImage", REPOSITORY, OURS, lies)) is False
    assert has_name.holds(Request(BOB, "ecr:PutImage", REPOSITORY, OURS, {})) is True


@pytest.mark.parametrize(
    "block",
    [
        {"StringIs": {"aws:UserAgent": "a"}},
        {"": {"aws:UserAgent": "a"}},
        {"NullIfExists": {"aws:UserAgent": "true"}},
        {"ForAllValues:": {"aws:UserAgent": "true"}},
        {"ForAllValues:ForAnyValue:StringLike": {"aws:UserAgent": "true"}},
        {"StringEquals": "a"},
        {"StringEquals": {"": "a"}},
        {"StringEquals": {"aws:UserAgent": []}},
        {"StringEquals": {"aws:UserAgent": None}},
        {"StringEquals": {"aws:UserAgent": {"a": "b"}}},
        {"StringEquals": {"aws:UserAgent": "${aws:username"}},
        {"StringEquals": {"aws:UserAgent": "${}"}},
        {"StringEquals": {"aws:UserAgent": "${aws:username, default}"}},
        {"StringEquals": {"aws:UserAgent": "${a*}"}},
        {"NumericEquals": {"aws:EpochTime": "many"}},
        {"NumericEquals": {"aws:EpochTime": "${aws:EpochTime}"}},
        {"DateEquals": {"aws:CurrentTime": "2026-13-01"}},
        {"DateEquals": {"aws:CurrentTime": "2026-01-01T00:00:61Z"}},
        {"DateEquals": {"aws:CurrentTime": "tomorrow"}},
        {"Bool": {"aws:SecureTransport": "yes"}},
        {"Null": {"aws:UserAgent": "perhaps"}},
        {"BinaryEquals": {"aws:UserAgent": "!"}},
        {"IpAddress": {"aws:SourceIp": "203.0.113.0/33"}},
        {"IpAddress": {"aws:SourceIp": "localhost"}},
        {"ArnLike": {"aws:PrincipalArn": "*"}},
        {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::1"}},
        ["StringEquals"],
    ],
)
def test_what_is_no_condition_is_refused(block: object) -> None:
    """Unknown operators and values that they cannot compare, when the policy is read."""
    with pytest.raises(PolicyInvalid):
        compile_block(block, with_variables=True, with_claims=False)
