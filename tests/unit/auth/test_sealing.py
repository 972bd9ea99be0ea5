"""What is sealed is read by who may, as it was, where it belongs, and by nobody else."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.auth.private_files import PrivateFileError
from moorage.auth.sealing import Keyring, MasterKey, Purpose, SealBroken

_KEYS = {1: b"1" * 32, 2: b"2" * 32}
_KEYRING = Keyring(_KEYS, 1)
_MASTER = MasterKey(b"m" * 32)


class TestMasterKey:
    """Secrets at rest."""

    @given(secret=st.binary(max_size=100), associated=st.binary(max_size=30))
    def test_sealed_secret_is_read_back(self, secret: bytes, associated: bytes) -> None:
        """Whatever was sealed comes back."""
        assert _MASTER.unseal(_MASTER.seal(secret, associated), associated) == secret

    def test_sealing_twice_gives_different_bytes(self) -> None:
        """Equal secrets cannot be told from their sealed form."""
        assert _MASTER.seal(b"secret", b"") != _MASTER.seal(b"secret", b"")

    @given(position=st.integers(0, 34), bit=st.integers(0, 7))
    def test_changed_bit_breaks_the_seal(self, position: int, bit: int) -> None:
        """Any bit, the format's included."""
        sealed = bytearray(_MASTER.seal(b"secret", b"row"))
        sealed[position] ^= 1 << bit
        with pytest.raises(SealBroken):
            _MASTER.unseal(bytes(sealed), b"row")

    @given(length=st.integers(0, 34))
    def test_truncated_secret_breaks_the_seal(self, length: int) -> None:
        """Every shorter form, the empty one included."""
        with pytest.raises(SealBroken):
            _MASTER.unseal(_MASTER.seal(b"secret", b"row")[:length], b"row")

    def test_secret_moved_elsewhere_breaks_the_seal(self) -> None:
        """A sealed secret is bound to its place."""
        with pytest.raises(SealBroken):
            _MASTER.unseal(_MASTER.seal(b"secret", b"row 1"), b"row 2")

    def test_other_key_breaks_the_seal(self) -> None:
        """Another master key reads nothing."""
        with pytest.raises(SealBroken):
            MasterKey(b"n" * 32).unseal(_MASTER.seal(b"secret", b""), b"")

    def test_key_from_base64_is_the_key(self) -> None:
        """The setting holds the key as base64."""
        same = MasterKey.from_base64(base64.b64encode(b"m" * 32).decode() + "\n")
        assert same.unseal(_MASTER.seal(b"secret", b""), b"") == b"secret"

    @pytest.mark.parametrize("text", ["", "not base64!", base64.b64encode(b"m" * 31).decode(), "bW0=", "ключ"])
    def test_setting_that_is_no_key_is_refused(self, text: str) -> None:
        """Anything but 32 bytes of base64, in a sentence that does not repeat it."""
        with pytest.raises(ValueError, match="32 bytes") as refusal:
            MasterKey.from_base64(text)
        assert not text or text not in str(refusal.value)


class TestMasterKeyFile:
    """The key in the data directory."""

    def test_file_is_created_for_the_owner_alone(self, tmp_path: Path) -> None:
        """Mode 0600, and nothing else is left in the directory."""
        MasterKey.load_or_create(tmp_path / "master.key")
        assert [path.name for path in tmp_path.iterdir()] == ["master.key"]
        assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600

    def test_file_is_read_again(self, tmp_path: Path) -> None:
        """The second start has the key of the first."""
        sealed = MasterKey.load_or_create(tmp_path / "master.key").seal(b"secret", b"")
        assert MasterKey.load_or_create(tmp_path / "master.key").unseal(sealed, b"") == b"secret"

    def test_two_files_have_different_keys(self, tmp_path: Path) -> None:
        """No key is built in."""
        sealed = MasterKey.load_or_create(tmp_path / "one.key").seal(b"secret", b"")
        with pytest.raises(SealBroken):
            MasterKey.load_or_create(tmp_path / "two.key").unseal(sealed, b"")

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
    def test_file_that_others_may_use_is_refused(self, tmp_path: Path, mode: int) -> None:
        """With a sentence that says what to do."""
        path = tmp_path / "master.key"
        MasterKey.load_or_create(path)
        path.chmod(mode)
        with pytest.raises(PrivateFileError, match="chmod 600"):
            MasterKey.load_or_create(path)

    @pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 44])
    def test_file_without_a_key_is_refused_and_kept(self, tmp_path: Path, content: bytes) -> None:
        """A damaged key is not replaced: it may be restored."""
        path = tmp_path / "master.key"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(PrivateFileError, match="backup"):
            MasterKey.load_or_create(path)
        assert path.read_bytes() == content

    def test_directory_in_its_place_is_an_error(self, tmp_path: Path) -> None:
        """Something else under that name."""
        (tmp_path / "master.key").mkdir(mode=0o700)
        with pytest.raises(OSError, match="directory"):
            MasterKey.load_or_create(tmp_path / "master.key")


class TestKeyring:
    """Tokens."""

    @given(payload=st.binary(max_size=100), associated=st.binary(max_size=30))
    def test_sealed_payload_is_read_back(self, payload: bytes, associated: bytes) -> None:
        """Whatever was sealed comes back, and the text fits into a URL."""
        text = _KEYRING.seal("page-token", payload, associated)
        assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        assert _KEYRING.unseal("page-token", text, associated) == payload

    @given(position=st.integers(0, 1_000), replacement=st.sampled_from("ABwxyz019-_=+/ é"))
    def test_changed_character_breaks_the_seal(self, position: int, replacement: str) -> None:
        """Any character, also one whose bits are only partly used."""
        text = _KEYRING.seal("registry-token", b"payload")
        position %= len(text)
        changed = text[:position] + replacement + text[position + 1 :]
        if changed != text:
            with pytest.raises(SealBroken):
                _KEYRING.unseal("registry-token", changed)

    @pytest.mark.parametrize("payload", [b"", b"1", b"12", b"123"])
    def test_every_other_last_character_breaks_the_seal(self, payload: bytes) -> None:
        """A token has one spelling only, whatever its length leaves over in the last character."""
        text = _KEYRING.seal("registry-token", payload)
        for last in set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") - {text[-1]}:
            with pytest.raises(SealBroken):
                _KEYRING.unseal("registry-token", text[:-1] + last)

    @given(length=st.integers(0, 53))
    def test_truncated_text_breaks_the_seal(self, length: int) -> None:
        """Every shorter form."""
        with pytest.raises(SealBroken):
            _KEYRING.unseal("registry-token", _KEYRING.seal("registry-token", b"payload")[:length])

    @given(text=st.text(max_size=80))
    def test_garbage_breaks_the_seal(self, text: str) -> None:
        """Anything at all."""
        with pytest.raises(SealBroken):
            _KEYRING.unseal("download-url", text)

    def test_overlong_text_breaks_the_seal(self) -> None:
        """Length is bounded before anything is decoded."""
        with pytest.raises(SealBroken):
            _KEYRING.unseal("page-token", _KEYRING.seal("page-token", b"x" * 20_000))

    @pytest.mark.parametrize("purpose", ["page-token", "download-url"])
    def test_other_purpose_breaks_the_seal(self, purpose: Purpose) -> None:
        """A token of one purpose is none of another."""
        with pytest.raises(SealBroken):
            _KEYRING.unseal(purpose, _KEYRING.seal("registry-token", b"payload"))

    def test_other_associated_data_breaks_the_seal(self) -> None:
        """What it was sealed with must be known to read it."""
        with pytest.raises(SealBroken):
            _KEYRING.unseal("page-token", _KEYRING.seal("page-token", b"payload", b"a"), b"b")

    def test_other_server_breaks_the_seal(self) -> None:
        """The same version of another server's key."""
        with pytest.raises(SealBroken):
            Keyring({1: b"x" * 32}, 1).unseal("page-token", _KEYRING.seal("page-token", b"payload"))

    def test_token_of_the_previous_key_is_read_after_rotation(self) -> None:
        """A rotation ends no token."""
        text = Keyring({1: _KEYS[1]}, 1).seal("page-token", b"payload")
        assert Keyring(_KEYS, 2).unseal("page-token", text) == b"payload"

    def test_token_of_a_dropped_key_breaks_the_seal(self) -> None:
        """Dropping a key ends its tokens."""
        with pytest.raises(SealBroken):
            Keyring({2: _KEYS[2]}, 2).unseal("page-token", _KEYRING.seal("page-token", b"payload"))

    def test_current_key_seals_after_rotation(self) -> None:
        """New tokens do not need the old key."""
        text = Keyring(_KEYS, 2).seal("page-token", b"payload")
        assert Keyring({2: _KEYS[2]}, 2).unseal("page-token", text) == b"payload"

    @pytest.mark.parametrize(("keys", "current"), [({}, 1), ({1: b"1" * 32}, 2), ({1: b"short"}, 1)])
    def test_keyring_without_its_keys_is_refused(self, keys: dict[int, bytes], current: int) -> None:
        """The current version must be there, and every key whole."""
        with pytest.raises(ValueError, match=r"no key|32 bytes"):
            Keyring(keys, current)
