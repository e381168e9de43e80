"""Ed25519 keys and signatures.

A private key is a PEM file (PKCS8) that only its owner may read. A public key is a PEM file, or one line of text such
as `ed25519:LPuVU3C1...=`. The library signs in constant time; verification handles no secret.

Source:
    Josefsson & Liusvaara, Edwards-Curve Digital Signature Algorithm, RFC 8032.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_autotuner.errors import ConfigError, MissingDependency
from edge_autotuner.storage.atomic import atomic_write_bytes, make_folder, storage_errors, sync_folder, write_all

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE_BYTES = 64

_KEY_BYTES = 32
_TEXT_PREFIX = "ed25519:"
_MAX_FILE_BYTES = 1 << 16
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class PublicKey:
    """Verifies signatures; `raw` has 32 bytes."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != _KEY_BYTES:
            raise ValueError(f"an Ed25519 public key has {_KEY_BYTES} bytes, got {len(self.raw)}")

    @property
    def text(self) -> str:
        """The key as one line, for settings."""
        return _TEXT_PREFIX + base64.b64encode(self.raw).decode()

    @property
    def fingerprint(self) -> str:
        """A short name of the key, for people to compare."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether this key's owner signed exactly this message.

        Raises:
            MissingDependency: `cryptography` is not installed.
        """
        exceptions = _cryptography("exceptions")
        key = _ed25519().Ed25519PublicKey.from_public_bytes(self.raw)
        try:
            key.verify(signature, message)
        except exceptions.InvalidSignature:
            return False
        return True


class SigningKey:
    """Signs; the private half never leaves this object."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature, the same for the same message."""
        return self._private.sign(message)


def create_key(path: Path) -> SigningKey:
    """Make a new key and write it to `path`, its public half to `path`.pub.

    Raises:
        ConfigError: one of the files exists; keys are never overwritten.
        MissingDependency: `cryptography` is not installed.
        StorageError: the disk refuses.
    """
    serialization = _cryptography("hazmat.primitives.serialization")
    private = _ed25519().Ed25519PrivateKey.generate()
    public_path = public_path_of(path)
    make_folder(path.parent)
    if public_path.exists():
        raise ConfigError(f"{public_path} already exists, and keys are never overwritten; choose another name")
    pem = serialization.PrivateFormat.PKCS8
    secret = private.private_bytes(serialization.Encoding.PEM, pem, serialization.NoEncryption())
    _write_new_secret(path, secret)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    atomic_write_bytes(public_path, private.public_key().public_bytes(serialization.Encoding.PEM, spki))
    return SigningKey(private)


def public_path_of(path: Path) -> Path:
    """Return the file of the public half of a private key."""
    return path.with_name(f"{path.name}.pub")


def read_signing_key(path: Path) -> SigningKey:
    """Read a private key.

    Raises:
        ConfigError: the file is missing, is no unencrypted Ed25519 key, or others may read it.
        MissingDependency: `cryptography` is not installed.
    """
    serialization = _cryptography("hazmat.primitives.serialization")
    content, mode = _read_key_file(path)
    if mode & _OTHERS:
        raise ConfigError(f"other users can read or write the private key {path}; run `chmod 600 {path}`")
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, _unsupported()) as exc:  # TypeError: it has a password
        raise ConfigError(f"{path} is not an unencrypted private key in PEM format") from exc
    if not isinstance(key, _ed25519().Ed25519PrivateKey):
        raise ConfigError(f"{path} is not an Ed25519 key; create one with `edge-autotuner keys new`")
    return SigningKey(key)


def read_public_key(path: Path) -> PublicKey:
    """Read a public key: a PEM file, or one line of text.

    Raises:
        ConfigError: the file is missing, or is not a public key.
        MissingDependency: `cryptography` is not installed.
    """
    content, _ = _read_key_file(path)
    if content.startswith(_TEXT_PREFIX.encode()):
        return parse_public_key(content.decode("ascii", "replace").strip())
    serialization = _cryptography("hazmat.primitives.serialization")
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, _unsupported()) as exc:
        raise ConfigError(f"{path} is not a public key; `keys new` writes one beside the private key") from exc
    if not isinstance(key, _ed25519().Ed25519PublicKey):
        raise ConfigError(f"{path} is not an Ed25519 key; create one with `edge-autotuner keys new`")
    return PublicKey(key.public_bytes_raw())


def public_half(path: Path) -> PublicKey:
    """Return the public key of a file that holds a public or a private key.

    Raises:
        ConfigError: it is neither, or a private key that others may read.
        MissingDependency: `cryptography` is not installed.
    """
    content, _ = _read_key_file(path)
    return read_signing_key(path).public if b"PRIVATE KEY" in content else read_public_key(path)


def parse_public_key(text: str) -> PublicKey:
    """Return the key of a line such as `ed25519:LPuVU3C1...=`.

    Raises:
        ConfigError: it is not one.
    """
    try:
        if not text.startswith(_TEXT_PREFIX):
            raise ValueError(f"it does not start with {_TEXT_PREFIX}")
        return PublicKey(base64.b64decode(text.removeprefix(_TEXT_PREFIX), validate=True))
    except (ValueError, binascii.Error) as exc:
        raise ConfigError(f"not a public key: {exc}; `edge-autotuner keys show FILE` prints one") from exc


def trusted_keys(entries: Iterable[str | Path]) -> tuple[PublicKey, ...]:
    """Return the keys that settings list, each as the text of a key or the path of a public key's file.

    Raises:
        ConfigError: an entry is neither.
        MissingDependency: `cryptography` is not installed.
    """
    texts = [str(entry) for entry in entries]
    return tuple(
        parse_public_key(text) if text.startswith(_TEXT_PREFIX) else read_public_key(Path(text)) for text in texts
    )


def find_signer(message: bytes, signature: bytes, trusted: Sequence[PublicKey]) -> PublicKey | None:
    """Return the key that signed a message, None for none of them; needs `cryptography`."""
    return next((key for key in trusted if key.verifies(message, signature)), None)


def _write_new_secret(path: Path, content: bytes) -> None:
    """Write a file that is private from its first moment on, completely or not at all."""
    with storage_errors(path):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise ConfigError(f"{path} already exists, and keys are never overwritten; choose another name") from None
        try:
            os.fchmod(handle, 0o600)
            write_all(handle, content)
            os.fsync(handle)
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise
        finally:
            os.close(handle)
        sync_folder(path.parent)


def _read_key_file(path: Path) -> tuple[bytes, int]:
    """Return content and mode of a file."""
    try:
        with path.open("rb") as file:
            content, mode = file.read(_MAX_FILE_BYTES + 1), os.fstat(file.fileno()).st_mode
    except OSError as exc:
        raise ConfigError(f"cannot read the key {path}: {exc.strerror}") from exc
    if len(content) > _MAX_FILE_BYTES:
        raise ConfigError(f"{path} is too large to be a key")
    return content, mode


def _ed25519() -> Any:  # noqa: ANN401 (a module that is loaded late)
    return _cryptography("hazmat.primitives.asymmetric.ed25519")


def _unsupported() -> type[Exception]:
    """Return the library's error for keys of a kind that it does not know."""
    error: type[Exception] = _cryptography("exceptions").UnsupportedAlgorithm
    return error


def _cryptography(module: str) -> Any:  # noqa: ANN401 (a module that is loaded late)
    try:
        return importlib.import_module(f"cryptography.{module}")
    except ModuleNotFoundError as exc:
        raise MissingDependency(f"signatures need {exc.name}: pip install cryptography") from exc
