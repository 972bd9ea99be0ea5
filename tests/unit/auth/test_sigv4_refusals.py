"""Requests that could be read in two ways, or lack something, are refused before any signature is computed."""

from dataclasses import replace
from hashlib import sha256
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.auth import sigv4
from moorage.domain.errors import CredentialsMissing, MalformedQuery, RegistryError, SignatureIncomplete
from tests.unit.auth.signing import ACCESS_KEY_ID, URL, Sent, presign, sign


def _refusal(sent: Sent, services: tuple[str, ...] = ("ecr",)) -> str:
    with pytest.raises(SignatureIncomplete) as refusal:
        sent.parse(services)
    return str(refusal.value.facts["text"])


def _authorization(change: dict[bytes, bytes]) -> Sent:
    """The signed request with replacements in its Authorization header."""
    sent = sign()
    value = sent.header(b"authorization")
    for old, new in change.items():
        assert old in value
        value = value.replace(old, new)
    return sent.with_header(b"authorization", lambda _: value)


def _presigned(old: bytes, new: bytes) -> Sent:
    """The presigned request with a replacement in its query string."""
    sent = presign()
    assert old in sent.query_string
    return replace(sent, query_string=sent.query_string.replace(old, new))


def test_no_credentials_are_missing() -> None:
    """A request without any."""
    with pytest.raises(CredentialsMissing):
        sign().without_header(b"authorization").parse()


def test_signature_version_2_counts_as_missing() -> None:
    """The query form of Signature Version 2 is not read at all."""
    sent = replace(
        sign().without_header(b"authorization"), query_string=b"AWSAccessKeyId=A&Signature=x&SignatureVersion=2"
    )
    with pytest.raises(CredentialsMissing):
        sent.parse()


class TestTwice:
    """What comes twice is refused."""

    @pytest.mark.parametrize(
        "name", [b"authorization", b"host", b"x-amz-date", b"x-amz-target", b"x-amz-content-sha256"]
    )
    def test_header_that_comes_twice_is_refused(self, name: bytes) -> None:
        """Even with the same value."""
        headers = {"X-Amz-Target": "A.B", "X-Amz-Content-Sha256": sha256(b"").hexdigest()}
        sent = sign(headers=headers, body=b"")
        text = _refusal(sent.adding((name, sent.header(name))))
        assert text == f"The request carries '{name.decode()}' more than once."

    @pytest.mark.parametrize(
        "parameter",
        ["X-Amz-Signature", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"],
    )
    @pytest.mark.parametrize("spelling", [str, str.lower, lambda name: name.replace("-", "%2D")])
    def test_presigned_parameter_that_comes_twice_is_refused(self, parameter: str, spelling: type[str]) -> None:
        """In whatever spelling the second one comes."""
        sent = presign()
        assert "more than once" in _refusal(
            replace(sent, query_string=sent.query_string + f"&{spelling(parameter)}=1".encode())
        )

    @pytest.mark.parametrize("second", [b"Action", b"action", b"%41ction"])
    def test_action_that_comes_twice_is_refused(self, second: bytes) -> None:
        """An operation is named once."""
        sent = replace(sign(), query_string=b"Action=ListImages&" + second + b"=DeleteRepository")
        assert "more than once" in _refusal(sent)

    def test_action_that_comes_twice_is_refused_when_signed(self) -> None:
        """A signature over both does not help."""
        assert "more than once" in _refusal(sign(url=f"{URL}?Action=A&Action=B"))

    def test_parameter_that_is_also_a_header_is_refused(self) -> None:
        """The same name in header and query string."""
        sent = replace(
            sign(), query_string=b"X-Amz-Target=AmazonEC2ContainerRegistry_V20150921.DeleteRepository"
        )
        assert "more than once" in _refusal(sent)

    def test_header_and_query_credentials_together_are_refused(self) -> None:
        """Each of them valid for itself."""
        sent = presign(headers={})
        both = sent.adding((b"authorization", sign().header(b"authorization")))
        assert "both" in _refusal(both)

    def test_basic_credentials_beside_presigned_ones_are_refused(self) -> None:
        """Any Authorization header counts."""
        assert "both" in _refusal(presign().adding((b"authorization", b"Basic QVdTOng=")))


class TestAuthorizationHeader:
    """The form of the Authorization header."""

    @pytest.mark.parametrize(
        "value",
        [
            b"Basic QVdTOng=",
            b"Bearer x",
            b"AWS4-ECDSA-P256-SHA256 Credential=A",
            b"AWS A:x",
            b"",
            b"aws4-hmac-sha256",
        ],
    )
    def test_other_algorithm_is_refused(self, value: bytes) -> None:
        """AWS4-HMAC-SHA256 only."""
        text = _refusal(sign().with_header(b"authorization", lambda _: value))
        assert text == "Authorization must use the algorithm 'AWS4-HMAC-SHA256'."

    @pytest.mark.parametrize("part", ["Credential", "SignedHeaders", "Signature"])
    def test_part_that_is_not_there_is_named(self, part: str) -> None:
        """The sentence of AWS for each."""
        sent = _authorization({part.encode() + b"=": b"Other="})
        assert _refusal(sent) == f"Authorization header requires '{part}' parameter."

    @pytest.mark.parametrize(
        "change", [{b"Signature=": b"Signature"}, {b"Signature=": b"Signature=0,Signature="}]
    )
    def test_part_without_value_or_twice_is_refused(self, change: dict[bytes, bytes]) -> None:
        """Each part is name=value and comes once."""
        assert "once each" in _refusal(_authorization(change))

    def test_signing_date_that_is_not_there_is_asked_for(self) -> None:
        """Neither X-Amz-Date nor Date."""
        assert "either a 'X-Amz-Date' or a 'Date' header" in _refusal(sign().without_header(b"x-amz-date"))

    @pytest.mark.parametrize(
        "date",
        [b"yesterday", b"2026-02-03T04:05:06Z", b"20260203T040506", b"20261303T040506Z", b"20260203T246060Z"],
    )
    def test_signing_date_of_another_form_is_refused(self, date: bytes) -> None:
        """ISO basic form only."""
        sent = _authorization({b"/20260203/": b"/" + date[:8] + b"/"}).with_header(
            b"x-amz-date", lambda _: date
        )
        assert _refusal(sent) == "Date must be in ISO-8601 'basic format', YYYYMMDD'T'HHMMSS'Z'."

    def test_date_header_that_is_no_date_is_refused(self) -> None:
        """Neither ISO basic nor HTTP date."""
        sent = sign().without_header(b"x-amz-date").adding((b"date", b"soon"))
        assert "neither" in _refusal(sent)

    def test_characters_beyond_ascii_are_refused(self) -> None:
        """Nothing in the header is anything but ASCII."""
        assert "ASCII" in _refusal(_authorization({b"Signature=": b"Signature=\xff"}))


class TestScope:
    """The credential scope."""

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({b"/aws4_request": b""}, "exactly 5 slash-delimited elements"),
            ({b"/ecr/": b"/ecr/x/"}, "exactly 5 slash-delimited elements"),
            ({b"/ecr/": b"/s3/"}, "Credential should be scoped to correct service: 'ecr'."),
            ({b"/ecr/": b"//"}, "Credential should be scoped to correct service: 'ecr'."),
            ({b"/eu-west-1/": b"/EU/"}, "valid region"),
            ({b"/eu-west-1/": b"//"}, "valid region"),
            ({b"aws4_request": b"aws3_request"}, "valid terminator: 'aws4_request'"),
            ({b"/20260203/": b"/20260204/"}, "'20260204' != '20260203'"),
            ({ACCESS_KEY_ID.encode(): b""}, "access key id"),
            ({ACCESS_KEY_ID.encode(): b"A" * 129}, "access key id"),
            ({ACCESS_KEY_ID.encode(): b"A B"}, "access key id"),
        ],
    )
    def test_scope_of_another_form_is_refused(self, change: dict[bytes, bytes], sentence: str) -> None:
        """Each part of the scope is checked, and the sentence says which is wrong."""
        assert sentence in _refusal(_authorization(change))

    def test_service_that_is_not_asked_for_is_refused(self) -> None:
        """A signature for one service is worth nothing at another."""
        assert "correct service: 'sts'" in _refusal(sign(service="ecr"), ("sts",))


class TestSignedHeaders:
    """Which headers must be signed."""

    @pytest.mark.parametrize(
        "change",
        [
            {b"content-type;host": b"host;content-type"},
            {b";host;": b";host;host;"},
            {b";host;": b";Host;"},
            {b";host;": b";host;;"},
            {b"SignedHeaders=": b"SignedHeaders=" + b"a" * 3000 + b";"},
        ],
    )
    def test_list_that_is_not_sorted_lower_case_names_is_refused(self, change: dict[bytes, bytes]) -> None:
        """The list has one spelling."""
        assert _refusal(_authorization(change)).startswith("SignedHeaders must be")

    def test_host_must_be_signed(self) -> None:
        """So that a signature is good at one server only."""
        assert "'Host' must be a 'SignedHeader'" in _refusal(_authorization({b";host;": b";"}))

    def test_target_must_be_signed(self) -> None:
        """So that one operation cannot be made another."""
        assert "'X-Amz-Target' must be" in _refusal(_authorization({b";x-amz-target": b""}))

    def test_target_added_to_a_presigned_request_is_refused(self) -> None:
        """The same in the query form."""
        sent = presign(url=f"{URL}?Action=ListImages", headers={})
        assert "'X-Amz-Target' must be" in _refusal(sent.adding((b"x-amz-target", b"A.DeleteRepository")))

    def test_session_token_must_be_signed(self) -> None:
        """So that it cannot be exchanged."""
        assert "'X-Amz-Security-Token' must be" in _refusal(sign().adding((b"x-amz-security-token", b"t")))

    def test_session_token_in_the_query_of_a_header_signed_request_is_refused(self) -> None:
        """Credentials come from one place."""
        assert "both" in _refusal(sign(url=f"{URL}?X-Amz-Security-Token=t"))

    def test_signed_header_that_is_not_there_is_named(self) -> None:
        """A proxy that drops a header is found out this way."""
        text = _refusal(sign().without_header(b"content-type"))
        assert text == "The header 'content-type' is signed but the request lacks it."


class TestPresigned:
    """The form of presigned queries."""

    @pytest.mark.parametrize("name", ["Algorithm", "Credential", "SignedHeaders", "Signature", "Date"])
    def test_parameter_that_is_not_there_is_named(self, name: str) -> None:
        """The sentence of AWS for each."""
        sent = _presigned(f"X-Amz-{name}=".encode(), b"other=")
        assert f"must include 'X-Amz-{name}'" in _refusal(sent)

    def test_other_algorithm_is_refused(self) -> None:
        """AWS4-HMAC-SHA256 only."""
        assert "X-Amz-Algorithm must be" in _refusal(_presigned(b"AWS4-HMAC-SHA256", b"AWS4-ECDSA-P256-SHA256"))

    @pytest.mark.parametrize("expires", ["", "0", "-1", "604801", "1.5", "+60", "%D9%A3", "9" * 400])
    def test_life_out_of_bounds_is_refused(self, expires: str) -> None:
        """1 to 604800 seconds."""
        text = _refusal(_presigned(b"X-Amz-Expires=3600", f"X-Amz-Expires={expires}".encode()))
        assert text == "X-Amz-Expires must be a number of seconds between 1 and 604800."

    @pytest.mark.parametrize("name", ["x-amz-signature", "X-AMZ-CREDENTIAL", "X-amz-Date"])
    def test_other_spelling_is_refused(self, name: str) -> None:
        """A parameter in another case is not quietly passed over."""
        exact = {"x-amz-signature": "Signature", "X-AMZ-CREDENTIAL": "Credential", "X-amz-Date": "Date"}[name]
        sent = _presigned(f"X-Amz-{exact}=".encode(), f"{name}=".encode())
        assert _refusal(sent) == f"'{name}' must be spelled 'X-Amz-{exact}'."

    def test_too_many_parameters_are_refused(self) -> None:
        """The number of parameters is bounded."""
        with pytest.raises(MalformedQuery):
            replace(presign(), query_string=b"a&" * 1_000).parse()


@given(
    query=st.lists(
        st.tuples(
            st.sampled_from(["X-Amz-Signature", "X-Amz-Date", "x-amz-date", "Action", "a"]), st.text(max_size=9)
        )
    ),
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"authorization", b"host", b"x-amz-date", b"date", b"x-amz-target", b"a"]),
            st.binary(max_size=30)
            | st.just(b"AWS4-HMAC-SHA256 Credential=a/b/c/ecr/e,SignedHeaders=host,Signature=x"),
        )
    ),
)
def test_garbage_is_refused_and_never_fails(
    query: list[tuple[str, str]], headers: list[tuple[bytes, bytes]]
) -> None:
    """Whatever arrives is refused with an error of the domain."""
    text = "&".join(f"{name}={quote(value)}" for name, value in query)
    with pytest.raises(RegistryError):
        sigv4.parse("POST", b"/", text.encode(), headers, ["ecr"])
