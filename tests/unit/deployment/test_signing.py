"""Keys and signatures: what was signed verifies, anything else does not, and secrets stay secret."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from edge_autotuner.deployment import signing
from edge_autotuner.deployment.signing import (
    PublicKey,
    SigningKey,
    create_key,
    find_signer,
    parse_public_key,
    public_half,
    read_public_key,
    read_signing_key,
    trusted_keys,
)
from edge_autotuner.errors import ConfigError, MissingDependency, StorageError

MESSAGE = b"what is signed"
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
KEY = SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(SEED))


def test_the_test_vector_of_the_standard() -> None:
    """RFC 8032, section 7.1, test 2."""
    assert KEY.public.raw == PUBLIC
    assert KEY.sign(b"\x72") == SIGNATURE
    assert PublicKey(PUBLIC).verifies(b"\x72", SIGNATURE)


def test_a_key_goes_to_its_files_and_back(tmp_path: Path) -> None:
    made = create_key(tmp_path / "new" / "key")
    signature = made.sign(MESSAGE)
    assert read_signing_key(tmp_path / "new" / "key").sign(MESSAGE) == signature
    public = read_public_key(tmp_path / "new" / "key.pub")
    assert public == made.public == public_half(tmp_path / "new" / "key") == public_half(tmp_path / "new" / "key.pub")
    assert public.verifies(MESSAGE, signature)
    assert [path.name for path in sorted((tmp_path / "new").iterdir())] == ["key", "key.pub"]


def test_nobody_else_reads_the_private_half(tmp_path: Path) -> None:
    made = create_key(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    content = (tmp_path / "key").read_text()
    assert content.startswith("-----BEGIN PRIVATE KEY-----\n")
    secret = content.splitlines()[1]
    assert secret not in repr(made) + repr(vars(made)) + (tmp_path / "key.pub").read_text()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o606, 0o601])
def test_a_key_that_others_reach_is_refused(tmp_path: Path, mode: int) -> None:
    create_key(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_signing_key(tmp_path / "key")


@pytest.mark.parametrize("taken", ["key", "key.pub"])
def test_a_key_is_never_overwritten(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("precious")
    with pytest.raises(ConfigError, match=f"{taken} already exists, and keys are never overwritten"):
        create_key(tmp_path / "key")
    assert (tmp_path / taken).read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_disk_that_is_full_leaves_no_half_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_handle: int, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(signing, "write_all", refuse)
    with pytest.raises(StorageError, match="No space left"):
        create_key(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


def test_a_key_as_text() -> None:
    assert KEY.public.text == "ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
    assert parse_public_key(KEY.public.text) == KEY.public


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=", id="no-kind"),
        pytest.param("ed25519:", id="no-key"),
        pytest.param("ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zg==", id="short"),
        pytest.param("ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw", id="no-padding"),
        pytest.param("ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n", id="newline"),
        pytest.param("ed25519:\N{BLACK STAR}", id="not-ascii"),
        pytest.param("rsa:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=", id="other-kind"),
    ],
)
def test_texts_that_are_no_keys(text: str) -> None:
    with pytest.raises(ConfigError, match="not a public key"):
        parse_public_key(text)


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


ELLIPTIC = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "unencrypted private key", id="empty"),
        pytest.param(b"\xff" * 100, "unencrypted private key", id="noise"),
        pytest.param(pem(ELLIPTIC), "not an Ed25519 key", id="other-kind"),
        pytest.param(
            pem(ed25519.Ed25519PrivateKey.from_private_bytes(SEED), b"pw"), "unencrypted private key", id="password"
        ),
        pytest.param(b"x" * (1 << 17), "too large", id="large"),
    ],
)
def test_files_that_are_no_private_keys(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=message):
        read_signing_key(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is not a public key", id="empty"),
        pytest.param(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a public key", id="damaged"),
        pytest.param(
            ELLIPTIC.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            "not an Ed25519 key",
            id="other-kind",
        ),
        pytest.param(b"ed25519:AAAA", "not a public key", id="short-text"),
    ],
)
def test_files_that_are_no_public_keys(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "key.pub"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_public_key(path)


def test_missing_files_are_explained(tmp_path: Path) -> None:
    for read in (read_signing_key, read_public_key, public_half):
        with pytest.raises(ConfigError, match=r"cannot read the key .*: No such file"):
            read(tmp_path / "key")


def test_settings_name_keys_by_text_or_file(tmp_path: Path) -> None:
    made = create_key(tmp_path / "key").public
    (tmp_path / "line").write_text(KEY.public.text + "\n")
    assert trusted_keys([KEY.public.text, tmp_path / "key.pub", tmp_path / "line"]) == (KEY.public, made, KEY.public)
    assert trusted_keys([]) == ()


def test_any_of_the_trusted_keys_may_have_signed(tmp_path: Path) -> None:
    old, new = KEY, create_key(tmp_path / "new")
    trusted = (old.public, new.public)
    for key in (old, new):
        assert find_signer(MESSAGE, key.sign(MESSAGE), trusted) == key.public
    stranger = create_key(tmp_path / "stranger")
    assert find_signer(MESSAGE, stranger.sign(MESSAGE), trusted) is None
    assert find_signer(MESSAGE, new.sign(MESSAGE), trusted[:1]) is None
    assert find_signer(MESSAGE, new.sign(MESSAGE), ()) is None


@given(st.binary(max_size=100), st.integers(min_value=0), st.booleans())
def test_one_bit_more_or_less_does_not_verify(message: bytes, bit: int, in_signature: bool) -> None:
    signature = KEY.sign(message)
    assert KEY.public.verifies(message, signature)
    parts = [bytearray(message), bytearray(signature)]
    changed = parts[1 if in_signature or not message else 0]
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    assert not KEY.public.verifies(bytes(parts[0]), bytes(parts[1]))


@pytest.mark.parametrize("signature", [b"", SIGNATURE[:-1], SIGNATURE + b"\0", b"\0" * 64, b"\xff" * 64])
def test_things_that_are_no_signatures(signature: bytes) -> None:
    assert not KEY.public.verifies(b"\x72", signature)


def test_a_key_has_its_size() -> None:
    with pytest.raises(ValueError, match="32 bytes, got 31"):
        PublicKey(bytes(31))


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization", None)
    with pytest.raises(MissingDependency, match="pip install cryptography"):
        create_key(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []
