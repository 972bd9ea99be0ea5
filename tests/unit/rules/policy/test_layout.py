"""How ECR lays out the text of a policy."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.rules.policy.document import Kind, parse
from moorage.rules.policy.layout import lay_out

SENT = (
    '{\n  "Version": "2012-10-17", "Statement": [\n    {\n      "Sid": "AllowPull", "Effect": "Allow", '
    '"Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], "Principal": "*"}\n  ]\n}'
)
ANSWERED = """\
{
  "Version" : "2012-10-17",
  "Statement" : [ {
    "Sid" : "AllowPull",
    "Effect" : "Allow",
    "Principal" : "*",
    "Action" : [ "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer" ]
  } ]
}"""


def test_the_sample_of_the_reference_is_answered_byte_for_byte() -> None:
    """Its text, and with it the whole body, whose length the reference gives: 301."""
    assert lay_out(SENT) == ANSWERED
    body = {"policyText": lay_out(SENT), "registryId": "012345678910", "repositoryName": "ubuntu"}
    assert len(json.dumps(body, separators=(",", ":"))) == 301


def test_everything_has_its_place() -> None:
    """All elements in IAM's order, objects in lists, empty ones, texts of any letters."""
    text = json.dumps(
        {
            "Statement": [
                {
                    "Condition": {"StringLike": {"ecr:ImageTag": ["v*", "é"]}, "Bool": {}},
                    "NotResource": [],
                    "NotAction": "ecr:*",
                    "NotPrincipal": {"AWS": ["1", "2"], "Service": "a"},
                    "Effect": "Deny",
                    "Sid": "a\nb",
                },
                {"Resource": "*", "Effect": "Allow"},
            ],
            "Id": "x",
            "Version": "2008-10-17",
        }
    )
    assert lay_out(text) == (
        '{\n  "Version" : "2008-10-17",\n  "Id" : "x",\n  "Statement" : [ {\n    "Sid" : "a\\nb",\n'
        '    "Effect" : "Deny",\n    "NotPrincipal" : {\n      "AWS" : [ "1", "2" ],\n      "Service" : "a"\n    },\n'
        '    "NotAction" : "ecr:*",\n    "NotResource" : [ ],\n    "Condition" : {\n      "StringLike" : {\n'
        '        "ecr:ImageTag" : [ "v*", "é" ]\n      },\n      "Bool" : { }\n    }\n  }, {\n'
        '    "Effect" : "Allow",\n    "Resource" : "*"\n  } ]\n}'
    )


def test_a_statement_that_is_in_no_list_stays_so() -> None:
    """And one list of none too."""
    assert lay_out('{"Statement": {"Effect": "Deny"}}') == '{\n  "Statement" : {\n    "Effect" : "Deny"\n  }\n}'
    assert lay_out('{"Statement": []}') == '{\n  "Statement" : [ ]\n}'


_TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
_STATEMENTS = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Action": st.just("ecr:*"), "Principal": st.just("*")},
    optional={
        "Sid": _TEXT,
        "Condition": st.dictionaries(st.just("StringEquals"), st.dictionaries(_TEXT, _TEXT, max_size=2)),
    },
)


@settings(max_examples=60)
@given(st.lists(_STATEMENTS, max_size=3), st.booleans())
def test_layout_changes_neither_meaning_nor_itself(statements: list[dict[str, Any]], is_indented: bool) -> None:
    """The same JSON comes out, and laid out again the same text."""
    text = json.dumps({"Statement": statements}, indent=1 if is_indented else None)
    answered = lay_out(text)
    assert json.loads(answered) == json.loads(text)
    assert lay_out(answered) == answered


def test_a_policy_means_the_same_laid_out() -> None:
    """It can be sent back as it was answered."""
    assert parse(ANSWERED, Kind.REPOSITORY) == parse(lay_out(ANSWERED), Kind.REPOSITORY)
