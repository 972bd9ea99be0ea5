"""Temporary credentials: what is sealed in a session token, and that nobody else can make or change one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.auth.sealing import Keyring
from moorage.auth.sessions import SessionClaims, TemporaryCredentials, issue_credentials, read_session_token
from moorage.domain.caller import Session
from moorage.domain.errors import CredentialsUnknown

KEYRING = Keyring({1: bytes(32)}, 1)
ROLE = "arn:aws:iam::000000000000:role/builder"
ARN = "arn:aws:sts::000000000000:assumed-role/builder/ci"
SESSION = Session(
    name="ci",
    unique_id="AROAEXAMPLE",
    issued_at=1,
    expires_at=2,
    role_arn=ROLE,
    policies=("{}", "arn:aws:iam::aws:policy/AdministratorAccess"),
    tags={"team": "red"},
    facts={"aws:federatedprovider": "x"},
)


def issue() -> TemporaryCredentials:
    """Credentials of the session."""
    return issue_credentials(KEYRING, "000000000000", ARN, "", 0, SESSION)


def test_a_token_gives_back_what_was_sealed() -> None:
    """All of the session, and the secret that its requests are signed with."""
    made = issue()
    claims = read_session_token(KEYRING, made.session_token, made.access_key_id)
    assert claims == SessionClaims(
        made.access_key_id, made.secret_access_key, "000000000000", ARN, "", 0, SESSION
    )
    assert made.access_key_id.startswith("ASIA")
    assert made.expires_at == SESSION.expires_at


def test_each_session_has_another_key() -> None:
    """Two of the same principal, too."""
    first, second = issue(), issue()
    assert first.access_key_id != second.access_key_id
    assert first.secret_access_key != second.secret_access_key


def test_a_token_of_another_key_is_refused() -> None:
    """It belongs to the key id that it was given out with."""
    first, second = issue(), issue()
    with pytest.raises(CredentialsUnknown):
        read_session_token(KEYRING, first.session_token, second.access_key_id)


def test_a_token_of_another_purpose_is_refused() -> None:
    """The password of docker login is no session token, whatever is in it."""
    other = KEYRING.seal("registry-token", b"\x90")
    with pytest.raises(CredentialsUnknown):
        read_session_token(KEYRING, other, "ASIAEXAMPLE")


def test_neither_secret_nor_token_is_shown() -> None:
    """Both may end up in a log by their repr."""
    made = issue()
    shown = f"{made!r} {read_session_token(KEYRING, made.session_token, made.access_key_id)!r}"
    assert made.secret_access_key not in shown
    assert made.session_token not in shown


@given(place=st.integers(0), letter=st.sampled_from("ABCDEFGHabcdefgh01234567-_"))
def test_a_token_that_was_altered_is_refused(place: int, letter: str) -> None:
    """At any place, to any letter."""
    made = issue()
    token = made.session_token
    at = place % len(token)
    altered = token[:at] + letter + token[at + 1 :]
    if altered != token:
        with pytest.raises(CredentialsUnknown):
            read_session_token(KEYRING, altered, made.access_key_id)


@given(text=st.text(max_size=200))
def test_any_other_text_is_refused(text: str) -> None:
    """Letters beyond ASCII, bad padding, nothing at all."""
    with pytest.raises(CredentialsUnknown):
        read_session_token(KEYRING, text, "ASIAEXAMPLE")


def test_a_token_of_another_server_is_refused() -> None:
    """Another keyring made it."""
    made = issue_credentials(Keyring({1: bytes([1]) * 32}, 1), "000000000000", ARN, "", 0, SESSION)
    with pytest.raises(CredentialsUnknown):
        read_session_token(KEYRING, made.session_token, made.access_key_id)
