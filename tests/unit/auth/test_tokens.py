"""Tokens mean what they meant when they were issued, for as long as they said, and nothing else."""

from base64 import b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.auth import tokens
from moorage.auth.sealing import Keyring
from moorage.auth.tokens import DownloadClaims, PageScope, RegistryTokenClaims
from moorage.domain.errors import CredentialsExpired, CredentialsUnknown, PageTokenInvalid
from moorage.domain.names import RegistryId

_NOW = 1_770_000_000_000_000
_KEYRING = Keyring({1: b"1" * 32}, 1)
_CLAIMS = RegistryTokenClaims(
    account_id="012345678910",
    principal_arn="arn:aws:iam::012345678910:root",
    access_key_id="AKIDEXAMPLE",
    region="eu-west-1",
    issued_at=_NOW,
    expires_at=_NOW + tokens.REGISTRY_TOKEN_LIFETIME,
    unique_id="012345678910",
    key_created_at=1,
)
_DOWNLOAD = DownloadClaims(
    digest="sha256:" + "a" * 64,
    registry_id="012345678910",
    region="eu-west-1",
    repository_name="team/app",
    account_id="999999999999",
    principal_arn="arn:aws:iam::999999999999:user/alice",
    access_key_id="AKIDEXAMPLE",
    expires_at=_NOW + tokens.DOWNLOAD_TOKEN_LIFETIME,
    unique_id="AIDAALICE",
    key_created_at=1,
)
_SCOPE = PageScope(
    "ListImages", "012345678910", "eu-west-1", "team/app", tokens.fingerprint({"tagStatus": "TAGGED"})
)


def _basic(text: str | bytes) -> str:
    return "Basic " + b64encode(text.encode() if isinstance(text, str) else text).decode()


def _read(keyring: Keyring, password: str, now: int) -> RegistryTokenClaims:
    """What a password claims, sent as docker sends it."""
    return tokens.read_registry_authorization(keyring, _basic(f"{tokens.USER}:{password}"), now)


class TestRegistryToken:
    """The password of docker login."""

    def test_claims_are_read_back(self) -> None:
        """Until its last microsecond."""
        text = tokens.issue_registry_token(_KEYRING, _CLAIMS)
        assert _read(_KEYRING, text, _CLAIMS.expires_at - 1) == _CLAIMS

    def test_names_are_sealed_as_the_text_that_they_are(self) -> None:
        """An account of the domain's own type, a kind of text, is read back as text."""
        claims = msgspec.structs.replace(_CLAIMS, account_id=RegistryId(_CLAIMS.account_id))
        text = tokens.issue_registry_token(_KEYRING, claims)
        assert _read(_KEYRING, text, _NOW) == _CLAIMS

    def test_token_is_refused_as_expired_when_its_time_is_over(self) -> None:
        """A genuine token whose time is over is told apart, also right after it was taken."""
        text = tokens.issue_registry_token(_KEYRING, _CLAIMS)
        _read(_KEYRING, text, _NOW)
        with pytest.raises(CredentialsExpired):
            _read(_KEYRING, text, _CLAIMS.expires_at)

    def test_forged_token_is_unknown(self) -> None:
        """One sealed with another server's key."""
        text = tokens.issue_registry_token(Keyring({1: b"x" * 32}, 1), _CLAIMS)
        with pytest.raises(CredentialsUnknown):
            _read(_KEYRING, text, _NOW)

    def test_token_is_unknown_once_its_key_is_dropped(self) -> None:
        """Even where it was taken a moment before."""
        text = tokens.issue_registry_token(_KEYRING, _CLAIMS)
        _read(_KEYRING, text, _NOW)
        with pytest.raises(CredentialsUnknown):
            _read(Keyring({2: b"2" * 32}, 2), text, _NOW)

    def test_token_is_read_after_rotation(self) -> None:
        """As long as its key is kept."""
        text = tokens.issue_registry_token(_KEYRING, _CLAIMS)
        rotated = Keyring({1: b"1" * 32, 2: b"2" * 32}, 2)
        assert _read(rotated, text, _NOW) == _CLAIMS

    def test_token_of_another_purpose_is_unknown(self) -> None:
        """A download URL is no password."""
        text = tokens.issue_download_token(_KEYRING, _DOWNLOAD)
        with pytest.raises(CredentialsUnknown):
            _read(_KEYRING, text, _NOW)

    def test_sealed_nonsense_is_unknown(self) -> None:
        """A payload of another form, as a later version may write."""
        text = _KEYRING.seal("registry-token", msgspec.msgpack.encode(["a", 1]))
        with pytest.raises(CredentialsUnknown):
            _read(_KEYRING, text, _NOW)

    @given(text=st.text(max_size=60))
    def test_garbage_is_unknown(self, text: str) -> None:
        """Anything at all."""
        with pytest.raises(CredentialsUnknown):
            _read(_KEYRING, text, _NOW)


class TestBasicAuthorization:
    """The Authorization header of /v2/ requests."""

    def test_user_and_password_are_read(self) -> None:
        """The scheme is taken in any case, the password may hold colons."""
        assert tokens.read_basic(_basic("AWS:pass:word").replace("Basic", "bAsIC")) == ("AWS", "pass:word")

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Basic",
            "Basic ",
            "Bearer QVdTOng=",
            "Basic QVdTOng",
            "Basic QVdT\nOng=",
            "Basic QVdT*Ong=",
            "Basic QVdTOng= QVdTOng=",
            "Basic é",
            _basic("AWS"),
            _basic("aws:x"),
            _basic("root:x"),
            _basic(":x"),
            _basic(b"AWS:\xff"),
            _basic("AWS:" + "x" * 20_000),
        ],
    )
    def test_header_of_another_form_is_unknown(self, header: str) -> None:
        """Other schemes, base64 that is not strict, other users, and what is too long."""
        with pytest.raises(CredentialsUnknown):
            tokens.read_basic(header)

    @given(header=st.text(max_size=60) | st.binary(max_size=40).map(_basic))
    def test_garbage_is_unknown(self, header: str) -> None:
        """Anything at all."""
        with pytest.raises(CredentialsUnknown):
            tokens.read_registry_authorization(_KEYRING, header, _NOW)

    def test_authorization_token_of_the_api_is_a_login(self) -> None:
        """What GetAuthorizationToken hands out is what docker sends."""
        token = tokens.as_authorization_token(tokens.issue_registry_token(_KEYRING, _CLAIMS))
        assert tokens.read_registry_authorization(_KEYRING, f"Basic {token}", _NOW) == _CLAIMS

    def test_header_is_refused_when_its_token_is_over(self) -> None:
        """A header that was taken before is not taken for ever."""
        header = f"Basic {tokens.as_authorization_token(tokens.issue_registry_token(_KEYRING, _CLAIMS))}"
        tokens.read_registry_authorization(_KEYRING, header, _NOW)
        with pytest.raises(CredentialsExpired):
            tokens.read_registry_authorization(_KEYRING, header, _CLAIMS.expires_at)

    def test_header_is_unknown_once_its_key_is_dropped(self) -> None:
        """A rotation that drops the key ends the header, too."""
        header = f"Basic {tokens.as_authorization_token(tokens.issue_registry_token(_KEYRING, _CLAIMS))}"
        tokens.read_registry_authorization(_KEYRING, header, _NOW)
        with pytest.raises(CredentialsUnknown):
            tokens.read_registry_authorization(Keyring({2: b"2" * 32}, 2), header, _NOW)


class TestDownloadToken:
    """Download URLs."""

    def test_claims_are_read_back(self) -> None:
        """The blob, its repository and the key it was given to."""
        text = tokens.issue_download_token(_KEYRING, _DOWNLOAD)
        assert tokens.read_download_token(_KEYRING, text, _DOWNLOAD.expires_at - 1) == _DOWNLOAD

    def test_token_is_refused_as_expired_when_its_time_is_over(self) -> None:
        """A genuine URL whose time is over is told apart."""
        text = tokens.issue_download_token(_KEYRING, _DOWNLOAD)
        with pytest.raises(CredentialsExpired):
            tokens.read_download_token(_KEYRING, text, _DOWNLOAD.expires_at)

    def test_token_of_another_purpose_is_unknown(self) -> None:
        """A password is no download URL."""
        text = tokens.issue_registry_token(_KEYRING, _CLAIMS)
        with pytest.raises(CredentialsUnknown):
            tokens.read_download_token(_KEYRING, text, _NOW)


class TestPageToken:
    """Where a page ends."""

    @given(
        position=st.lists(
            st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(), max_size=5
        ).map(tuple)
    )
    def test_position_is_read_back(self, position: tuple[tokens.Scalar, ...]) -> None:
        """Any sort key."""
        text = tokens.issue_page_token(_KEYRING, _SCOPE, position, _NOW)
        assert tokens.read_page_token(_KEYRING, _SCOPE, text, _NOW + 1) == position

    @pytest.mark.parametrize(
        "change",
        [
            {"operation": "DescribeImages"},
            {"registry_id": "999999999999"},
            {"region": "us-east-1"},
            {"repository_name": "team/other"},
            {"repository_name": None},
            {"filter_fingerprint": tokens.fingerprint({"tagStatus": "UNTAGGED"})},
        ],
    )
    def test_token_for_another_list_is_invalid(self, change: dict[str, str | None]) -> None:
        """Each part of the scope binds."""
        text = tokens.issue_page_token(_KEYRING, _SCOPE, ("last",), _NOW)
        with pytest.raises(PageTokenInvalid):
            tokens.read_page_token(_KEYRING, msgspec.structs.replace(_SCOPE, **change), text, _NOW)

    def test_token_is_good_for_days(self) -> None:
        """A client may come back after a weekend."""
        text = tokens.issue_page_token(_KEYRING, _SCOPE, ("last",), _NOW)
        later = _NOW + tokens.PAGE_TOKEN_LIFETIME - 1
        assert tokens.read_page_token(_KEYRING, _SCOPE, text, later) == ("last",)

    def test_token_is_invalid_after_a_week(self) -> None:
        """But not for ever."""
        text = tokens.issue_page_token(_KEYRING, _SCOPE, ("last",), _NOW)
        with pytest.raises(PageTokenInvalid):
            tokens.read_page_token(_KEYRING, _SCOPE, text, _NOW + tokens.PAGE_TOKEN_LIFETIME)

    @given(text=st.text(max_size=60))
    def test_garbage_is_invalid(self, text: str) -> None:
        """Anything at all."""
        with pytest.raises(PageTokenInvalid):
            tokens.read_page_token(_KEYRING, _SCOPE, text, _NOW)

    def test_fingerprint_does_not_depend_on_the_order_of_members(self) -> None:
        """A client may send the same filter with its members in another order."""
        assert tokens.fingerprint({"a": 1, "b": [2]}) == tokens.fingerprint({"b": [2], "a": 1})
