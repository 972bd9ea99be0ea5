"""Access keys look like those of AWS and are read by its tools."""

import configparser
import re

import pytest

from moorage.auth.credentials import (
    AccessKey,
    check_access_key,
    generate_access_key,
    render_credentials_file,
)


def test_generated_key_has_the_form_of_aws() -> None:
    """AKIA and 16 base32 characters, a secret of 40 characters that needs no quotes."""
    key = generate_access_key()
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", key.access_key_id)
    assert re.fullmatch(r"[A-Za-z0-9]{40}", key.secret_access_key)


def test_generated_keys_differ() -> None:
    """Both parts are random."""
    keys = [generate_access_key() for _ in range(50)]
    assert len({key.access_key_id for key in keys}) == len({key.secret_access_key for key in keys}) == 50


def test_generated_key_passes_the_check() -> None:
    """What is made here could also be brought."""
    key = generate_access_key()
    assert check_access_key(key.access_key_id, key.secret_access_key) == key


@pytest.mark.parametrize(
    "access_key_id", ["", "abc", "a" * 129, "with space", "a/b/c/d", "a,bcd", "schlüssel", "abcd\n"]
)
def test_key_id_of_another_form_is_refused(access_key_id: str) -> None:
    """A key id must fit into a credential scope."""
    with pytest.raises(ValueError, match="access key id"):
        check_access_key(access_key_id, "s" * 40)


@pytest.mark.parametrize(
    "secret", ["", "fifteen letters", "s" * 129, "sixteen letters!", "s" * 40 + "\n", "ü" * 20]
)
def test_secret_of_another_form_is_refused(secret: str) -> None:
    """A secret is long enough, and fits on a line of a credentials file."""
    with pytest.raises(ValueError, match="secret access key") as refusal:
        check_access_key("root", secret)
    assert not secret or secret not in str(refusal.value)


def test_repr_hides_the_secret() -> None:
    """A key in a log does not give itself away."""
    assert "hidden" not in repr(AccessKey("AKIDEXAMPLE", "hidden"))


@pytest.mark.parametrize("secret", ["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "%(x)s=[#];%%-----------"])
def test_credentials_file_is_read_by_an_ini_parser(secret: str) -> None:
    """As the tools of AWS read it."""
    parser = configparser.RawConfigParser()
    parser.read_string(render_credentials_file(AccessKey("AKIDEXAMPLE", secret)))
    assert dict(parser["default"]) == {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": secret}


def test_credentials_file_takes_a_profile() -> None:
    """Another section than the default one."""
    assert render_credentials_file(AccessKey("a", "b"), "moorage").startswith("[moorage]\n")


def test_profile_of_another_form_is_refused() -> None:
    """A profile cannot bring lines of its own."""
    with pytest.raises(ValueError, match="profile"):
        render_credentials_file(AccessKey("a", "b"), "x]\n[y")
