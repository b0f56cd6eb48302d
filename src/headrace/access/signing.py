"""Sign model folders and verify them: OpenSSF's model-signing with a pair of elliptic keys, without any network.

A signature covers the name and SHA-256 of every file of the folder, in Sigstore's bundle format, so that the command
`model_signing verify` accepts it too. The private key is where models are registered, the public one wherever they are
loaded: whoever can write to MLflow or to a home, but has no private key, cannot have a model of his loaded.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import ConflictError, CorruptError, DeclarationError, UnavailableError
from headrace.core.manifest import MANIFEST

if TYPE_CHECKING:
    from model_signing.hashing import Config

#: What model-signing says about files that differ: a list as Python prints it, with or without escaped quotes.
_MISMATCH = re.compile(
    r"Hash mismatch for \\?'([^'\\]*)"
    r"|Extra files found in model \\?'[^']*': ([^'\"]*)"
    r"|Missing files in model \\?'[^']*': ([^'\"]*)"
)


def new_pair(folder: Path, password: str | None) -> tuple[Path, Path]:
    """Make a pair of keys (NIST P-256) in a folder.

    Args:
        folder: Where to write signing.pem, which only the owner may read, and verification.pem.
        password: Encrypts the private key; None for none.

    Returns:
        The paths of the private and the public key.

    Raises:
        ConflictError: One is there already.
    """
    with _needed_packages():
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

    private, public = folder / "signing.pem", folder / "verification.pem"
    present = [str(path) for path in (private, public) if path.exists()]
    if present:
        raise ConflictError("a pair of keys is there", where=present[0], fix="name another folder, or move it away")
    key = ec.generate_private_key(ec.SECP256R1())
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def sign(folder: Path, signing_key: Path, password: str | None) -> str:
    """Return the signature of a folder, JSON.

    Args:
        folder: Its files are read.
        signing_key: File of the private key.
        password: Of the key; None for none.

    Raises:
        DeclarationError: The key cannot be read.
    """
    with _needed_packages():
        from model_signing.signing import Config

    try:
        # model-signing declares a text and hands it to a function that takes bytes.
        given: Any = None if password is None else password.encode()
        config = Config().use_elliptic_key_signer(  # type: ignore[no-untyped-call]
            private_key=signing_key, password=given
        )
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(signing_key, "HEADRACE_SIGNING_KEY", error) from None
    with tempfile.TemporaryDirectory() as temporary:
        signature = Path(temporary, "model.sig")
        config.set_hashing_config(_hashing()).sign(folder, signature)
        return signature.read_text()


def verify(folder: Path, signature: str, verification_key: Path, *, where: str) -> None:
    """Check that a folder is what a signature was made of.

    Args:
        folder: Its files are read.
        signature: As `sign` returned it.
        verification_key: File of the public key.
        where: What the folder is, for errors.

    Raises:
        CorruptError: The signature is of another key or damaged, or a file differs; the message names it.
        DeclarationError: The key cannot be read.
    """
    with _needed_packages():
        from model_signing.verifying import Config

    try:
        config = Config().use_elliptic_key_verifier(  # type: ignore[no-untyped-call]
            public_key=verification_key
        )
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(verification_key, "HEADRACE_VERIFICATION_KEY", error) from None
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "model.sig")
        file.write_text(signature)
        try:
            config.set_hashing_config(_hashing()).verify(folder, file)
        except Exception as error:  # of the JSON, the format of Sigstore, the signature or the files
            raise _refused(where, str(error)) from None


def _hashing() -> Config:
    """Return how files are hashed: all of them, those of Git too."""
    from model_signing.hashing import Config

    config: Config = Config()  # type: ignore[no-untyped-call]
    return config.set_ignored_paths(paths=(), ignore_git_paths=False)


def _refused(where: str, reason: str) -> CorruptError:
    names = [name for found in _MISMATCH.findall(reason) for name in found if name]
    names.sort(key=lambda name: name == MANIFEST)  # it differs wherever another file does
    fix = "do not load it: find out who changed it, and train again"
    if names:
        return CorruptError(f"{names[0]} is not as it was signed", where=where, found=names[1:], fix=fix)
    return CorruptError("the signature is not of HEADRACE_VERIFICATION_KEY, or is damaged", where=where, fix=fix)


def _unreadable(path: Path, setting: str, error: Exception) -> DeclarationError:
    wrong = "no key of NIST P-256, P-384 or P-521, or its password is wrong"
    reason = error.strerror if isinstance(error, OSError) else wrong
    return DeclarationError(f"{path} cannot be read ({reason})", where=setting, fix="see `headrace keys signing`")


@contextmanager
def _needed_packages() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UnavailableError(
            f"signatures need the package {error.name}", where="HEADRACE_SIGNING_KEY, HEADRACE_VERIFICATION_KEY",
            fix="pip install 'headrace[signing]'",
        ) from None  # fmt: skip
