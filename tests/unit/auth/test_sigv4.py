"""What botocore signs is taken; whatever is changed afterwards is not."""

from dataclasses import replace
from hashlib import sha256
from unittest.mock import patch
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from moorage.auth import sigv4
from moorage.domain.errors import (
    AuthenticationError,
    CredentialsUnknown,
    MalformedQuery,
    PresignedRequestExpired,
    SignatureExpired,
    SignatureMismatch,
)
from tests.unit.auth.signing import (
    ACCESS_KEY_ID,
    HEADERS,
    MINUTE,
    NOW,
    REGION,
    SECOND,
    URL,
    presign,
    sign,
)

_RESERVED = {"host", "date", "authorization", "content-length", "transfer-encoding", "connection", "expect"}
_RESERVED |= {"keep-alive", "te", "trailer", "upgrade", "user-agent", "baggage", "action"}

_header_names = st.from_regex(r"[a-wyz][a-z0-9-]{0,20}", fullmatch=True).filter(
    lambda name: name not in _RESERVED and not name.startswith(("proxy-", "trace"))
)
_header_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
_headers = st.dictionaries(_header_names, _header_values, max_size=6)
_parameter_names = st.text(max_size=12).filter(
    lambda name: name.lower() != "action" and not name.lower().startswith("x-amz-")
)
_parameters = st.lists(st.tuples(_parameter_names, st.text(max_size=12)), max_size=8)
_paths = st.text("/.~%a2F-_+ ;=@:", max_size=20).map(lambda text: "/" + text.lstrip("/"))


def _query(parameters: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in parameters)


class TestWhatBotocoreSigns:
    """The oracle's requests."""

    @given(
        method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]),
        path=_paths,
        parameters=_parameters,
        headers=_headers,
        body=st.binary(max_size=200),
        token=st.none() | st.from_regex(r"[A-Za-z0-9+/=]{1,40}", fullmatch=True),
    )
    def test_header_form_is_taken_whatever_is_signed(
        self,
        method: str,
        path: str,
        parameters: list[tuple[str, str]],
        headers: dict[str, str],
        body: bytes,
        token: str | None,
    ) -> None:
        """Any method, path, query, header and body that botocore signs in headers verifies."""
        url = f"http://registry.test:5050{path}?{_query(parameters)}"
        sign(method, url, headers, body, token=token).check()

    @given(
        parameters=_parameters,
        headers=_headers,
        token=st.none() | st.from_regex(r"[A-Za-z0-9+/=]{1,40}", fullmatch=True),
        expires=st.integers(1, 604_800),
    )
    def test_query_form_is_taken_whatever_is_signed(
        self, parameters: list[tuple[str, str]], headers: dict[str, str], token: str | None, expires: int
    ) -> None:
        """Any query, header, session token and life that botocore presigns verifies."""
        sent = presign("GET", f"{URL}?{_query(parameters)}", headers, token=token, expires=expires)
        sent.check()
        assert sent.parse().expires == expires

    def test_facts_are_those_of_the_request(self) -> None:
        """Parsing tells key, scope, time and session token."""
        signed = sign(token="session+token==").parse()
        assert (signed.form, signed.access_key_id, signed.date) == ("header", ACCESS_KEY_ID, "20260203")
        assert (signed.region, signed.service, signed.signed_at) == (REGION, "ecr", NOW)
        assert (signed.session_token, signed.expires) == ("session+token==", None)

    def test_session_token_of_a_presigned_request_is_read_decoded(self) -> None:
        """The session token in a query string is percent-decoded."""
        assert presign(token="a+b/c==").parse().session_token == "a+b/c=="

    def test_http_date_is_taken_without_x_amz_date(self) -> None:
        """With a Date header botocore signs without X-Amz-Date; the moment is the same."""
        sent = sign(headers={**HEADERS, "Date": "any"})
        assert all(name != b"x-amz-date" for name, _ in sent.headers)
        sent.check()

    def test_iso_basic_date_is_taken_without_x_amz_date(self) -> None:
        """A Date header in ISO basic form is enough."""
        with patch("botocore.auth.formatdate", return_value="20260203T040506Z"):
            sent = sign(headers={**HEADERS, "Date": "any"})
        assert sent.header(b"date") == b"20260203T040506Z"
        sent.check()

    def test_x_amz_date_wins_over_date(self) -> None:
        """A Date header beside X-Amz-Date is not looked at."""
        sign().adding((b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")).check()

    def test_repeated_header_is_signed_joined(self) -> None:
        """Other headers may repeat; their values are joined by commas, as they are signed."""
        sent = sign(headers={"x-note": "a  b,c"})
        split = sent.without_header(b"x-note").adding((b"x-note", b" a b "), (b"x-note", b"c"))
        split.check()

    def test_plus_in_a_query_is_a_space(self) -> None:
        """A plus sign means what it means to the rest of the server."""
        sent = sign(url=f"{URL}?a=b%20c")
        replace(sent, query_string=b"a=b+c").check()

    def test_authorization_without_spaces_is_taken(self) -> None:
        """Some clients put no space after the commas."""
        sign().with_header(b"authorization", lambda value: value.replace(b", ", b",")).check()

    def test_announced_body_hash_is_taken_when_true(self) -> None:
        """X-Amz-Content-Sha256 may name the body's own hash."""
        body = b"{}"
        sign(headers={"X-Amz-Content-Sha256": sha256(body).hexdigest()}, body=body).check()

    def test_repr_hides_what_a_log_must_not_hold(self) -> None:
        """Neither the signature nor the session token is in the repr."""
        signed = sign(token="session-token").parse()
        assert signed.signature not in repr(signed)
        assert "session-token" not in repr(signed)


def _published(service: str, query_string: bytes, headers: dict[str, str], signature: str) -> None:
    """Check a GET of 2015-08-30, 12:36:00, signed with the example key of AWS."""
    credential = f"AKIDEXAMPLE/20150830/us-east-1/{service}/aws4_request"
    names = ";".join(headers)
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    received = [(name.encode(), value.encode()) for name, value in headers.items()]
    signed = sigv4.parse(
        "GET", b"/", query_string, [*received, (b"authorization", authorization.encode())], [service]
    )
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    sigv4.verify(signed, secret, sha256(b"").hexdigest(), signed.signed_at)


class TestPublishedExamples:
    """Signatures that AWS published."""

    def test_iam_list_users_is_taken(self) -> None:
        """The worked example of the Signature Version 4 documentation."""
        _published(
            "iam",
            b"Action=ListUsers&Version=2010-05-08",
            {
                "content-type": "application/x-www-form-urlencoded; charset=utf-8",
                "host": "iam.amazonaws.com",
                "x-amz-date": "20150830T123600Z",
            },
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        )

    def test_get_vanilla_is_taken(self) -> None:
        """The plainest request of the Signature Version 4 test suite."""
        _published(
            "service",
            b"",
            {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"},
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        )


def _changed(text: bytes, position: int) -> bytes:
    """One letter or digit replaced by another that differs in more than case; ``position`` counts from anywhere."""
    places = [index for index, byte in enumerate(text) if chr(byte).isalnum()]
    place = places[position % len(places)]
    other = b"7" if text[place : place + 1] != b"7" else b"3"
    return text[:place] + other + text[place + 1 :]


class TestTampering:
    """No signed byte can be changed."""

    @given(
        name=st.sampled_from([b"host", b"content-type", b"x-amz-target", b"x-amz-date"]),
        position=st.integers(0),
    )
    def test_changed_header_is_refused(self, name: bytes, position: int) -> None:
        """A changed byte in any signed header."""
        sent = sign().with_header(name, lambda value: _changed(value, position))
        with pytest.raises(AuthenticationError):
            sent.check()

    @given(position=st.integers(0))
    def test_changed_authorization_is_refused(self, position: int) -> None:
        """A changed byte in the Authorization header, but for the key id: it only says whose secret to take."""
        sent = sign().with_header(b"authorization", lambda value: _changed(value, position))
        assume(
            sent.header(b"authorization").startswith(f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/".encode())
        )
        with pytest.raises(AuthenticationError):
            sent.check()

    @given(position=st.integers(0))
    def test_changed_presigned_query_is_refused(self, position: int) -> None:
        """A changed byte anywhere in a presigned query string."""
        sent = presign(url=f"{URL}?repositoryNames=alpha&repositoryNames=beta", token="session")
        with pytest.raises((AuthenticationError, MalformedQuery)):
            replace(sent, query_string=_changed(sent.query_string, position)).check()

    @given(body=st.binary(max_size=50))
    def test_other_body_is_refused(self, body: bytes) -> None:
        """Any body but the one that was signed."""
        sent = sign(body=b"\x00signed")
        with pytest.raises(SignatureMismatch):
            replace(sent, body=body).check()

    def test_body_on_a_presigned_request_is_refused(self) -> None:
        """A presigned request is signed over no body, so it takes none."""
        with pytest.raises(SignatureMismatch):
            replace(presign(), body=b"{}").check()

    @pytest.mark.parametrize("method", ["GET", "PUT", "post"])
    def test_other_method_is_refused(self, method: str) -> None:
        """The method is signed."""
        with pytest.raises(SignatureMismatch):
            replace(sign(), method=method).check()

    @pytest.mark.parametrize("path", [b"/a", b"/%2f", b"/console/"])
    def test_other_path_is_refused(self, path: bytes) -> None:
        """The path is signed."""
        with pytest.raises(SignatureMismatch):
            replace(sign(), raw_path=path).check()

    def test_added_parameter_is_refused(self) -> None:
        """A query parameter cannot be added."""
        with pytest.raises(SignatureMismatch):
            replace(sign(), query_string=b"Action=DeleteRepository").check()

    def test_other_secret_is_refused(self) -> None:
        """Another key's secret does not verify."""
        with pytest.raises(SignatureMismatch):
            sign().check(secret="another secret of forty characters......")

    @pytest.mark.parametrize(
        "announced",
        [
            "UNSIGNED-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "",
            sha256(b"another body").hexdigest(),
        ],
    )
    def test_announced_body_hash_of_another_kind_is_refused(self, announced: str) -> None:
        """Even when signed, an announced hash that is not the body's is not taken."""
        with pytest.raises(SignatureMismatch):
            sign(headers={"X-Amz-Content-Sha256": announced}).check()

    def test_unsigned_payload_in_a_presigned_query_is_refused(self) -> None:
        """The same in the query form."""
        with pytest.raises(SignatureMismatch):
            presign(url=f"{URL}?X-Amz-Content-Sha256=UNSIGNED-PAYLOAD").check()


class TestTime:
    """Fifteen minutes either way."""

    @pytest.mark.parametrize("now", [NOW - 15 * MINUTE, NOW, NOW + 15 * MINUTE])
    def test_clock_within_the_skew_is_taken(self, now: int) -> None:
        """Fifteen minutes to either side are allowed."""
        sign().check(now)

    def test_old_signature_is_refused_in_the_words_of_aws(self) -> None:
        """Clients look for the sentence."""
        with pytest.raises(SignatureExpired) as refusal:
            sign().check(NOW + 15 * MINUTE + SECOND)
        assert refusal.value.facts["text"] == (
            "Signature expired: 20260203T040506Z is now earlier than 20260203T040507Z "
            "(20260203T042007Z - 15 min.)"
        )

    def test_early_signature_is_refused_in_the_words_of_aws(self) -> None:
        """Clients look for the sentence."""
        with pytest.raises(SignatureExpired) as refusal:
            sign().check(NOW - 15 * MINUTE - SECOND)
        assert refusal.value.facts["text"] == (
            "Signature not yet current: 20260203T040506Z is still later than 20260203T040505Z "
            "(20260203T035005Z + 15 min.)"
        )

    def test_presigned_request_lives_as_long_as_it_says(self) -> None:
        """A presigned request is taken up to its last second, long after the skew."""
        presign(expires=604_800).check(NOW + 604_800 * SECOND)

    def test_presigned_request_is_refused_after_its_life(self) -> None:
        """A second later it is over, even within the skew."""
        with pytest.raises(PresignedRequestExpired):
            presign(expires=60).check(NOW + 61 * SECOND)

    def test_presigned_request_from_the_future_is_refused(self) -> None:
        """The skew is a bound for presigned requests as well."""
        with pytest.raises(SignatureExpired):
            presign().check(NOW - 16 * MINUTE)

    def test_presigned_request_without_life_is_bound_by_the_skew(self) -> None:
        """Without X-Amz-Expires, which the Go SDK may leave out, the skew is the life."""
        query = presign().query_string.replace(b"&X-Amz-Expires=3600", b"")
        sent = replace(presign(), query_string=query)
        assert sent.parse().expires is None
        with pytest.raises(SignatureExpired):
            sent.check(NOW + 16 * MINUTE)


@pytest.mark.incident(28)
def test_unknown_key_is_refused_after_the_same_work() -> None:
    """The stand-in for an unknown key refuses whatever is signed."""
    sent = sign()
    with pytest.raises(CredentialsUnknown):
        sigv4.verify_against_nothing(sent.parse(), sha256(sent.body).hexdigest())


class TestClaims:
    """Whom a request names, for --dev."""

    def test_claims_of_a_badly_signed_request_are_read(self) -> None:
        """A garbage signature and a missing date do not matter."""
        headers = [
            (
                b"authorization",
                b"AWS4-HMAC-SHA256 Credential=123456789012/x/eu-west-1/ecr/aws4_request, Signature=?",
            )
        ]
        assert sigv4.claims(b"", headers) == sigv4.Claims("123456789012", "eu-west-1", "ecr")

    def test_claims_of_a_presigned_request_are_read(self) -> None:
        """The credential of the query form."""
        sent = presign(service="sts")
        assert sigv4.claims(sent.query_string, sent.headers) == sigv4.Claims(ACCESS_KEY_ID, REGION, "sts")

    @pytest.mark.parametrize(
        "authorization",
        [
            b"",
            b"Basic QVdTOng=",
            b"AWS4-HMAC-SHA256 Credential=x",
            b"AWS4-HMAC-SHA256 Credential=a/b/C D/ecr/t",
        ],
    )
    def test_request_that_names_nobody_has_no_claims(self, authorization: bytes) -> None:
        """None, not a guess."""
        assert sigv4.claims(b"", [(b"authorization", authorization)]) is None

    @given(query=st.binary(max_size=60), authorization=st.binary(max_size=60))
    def test_claims_of_anything_do_not_fail(self, query: bytes, authorization: bytes) -> None:
        """Garbage names nobody."""
        assert sigv4.claims(query, [(b"authorization", authorization)]) is None
