"""Signatures of registered bundles: made where a signing key is set, demanded where a verification key is set.

A signature is a tag of the version in MLflow, and a file beside the local copy of the bundle, so that serving starts
without MLflow. Both are as good as the public key says: neither is trusted.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.errors import CorruptError
from headrace.core.files import write_bytes
from headrace.core.fingerprint import file_digest
from headrace.core.manifest import MANIFEST
from headrace.core.settings import settings

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

#: Tag with the signature of a version.
SIGNATURE = "headrace.signature"


def sign_version(client: MlflowClient, model: str, version: str, folder: Path, file: Path | None) -> None:
    """Sign a registered version that has no signature, where a signing key is set.

    Args:
        client: Of MLflow.
        model: Name of the registered model.
        version: Its version.
        folder: The bundle.
        file: Where the local copy of the signature belongs; None for no copy.

    Raises:
        DeclarationError: The key cannot be read.
    """
    chosen = settings()
    if chosen.signing_key is None:
        return
    from headrace.access.signing import sign

    known = str(client.get_model_version(model, version).tags.get(SIGNATURE, ""))
    password = chosen.signing_password.get_secret_value() if chosen.signing_password else None
    signature = known or sign(folder, chosen.signing_key, password)
    if not known:
        client.set_model_version_tag(model, version, SIGNATURE, signature)
    if file is not None:
        write_bytes(file, signature.encode())


def require_signature(folder: Path, file: Path | None, *, where: str, tag: str | None = None) -> None:
    """Check the signature of a bundle, where a verification key is set. Call it before a file of it is opened.

    Args:
        folder: The bundle; its manifest was checked.
        file: The local copy of the signature; None for none.
        where: What the bundle is, for errors.
        tag: The signature in MLflow, which is copied to `file`; None where it was not read.

    Raises:
        CorruptError: It is not signed, or by another key, or a file was changed after that.
    """
    key = settings().verification_key
    if key is None:
        return
    signature = tag if tag is not None else _read(file)
    if not signature:
        fix = "set HEADRACE_SIGNING_KEY where models are registered: a new run signs what it registers"
        raise CorruptError("is not signed", where=where, fix=fix)
    _verify(folder, signature, key, file_digest(key) if key.exists() else "", file_digest(folder / MANIFEST), where)
    if tag is not None and file is not None:
        write_bytes(file, signature.encode())


@lru_cache(maxsize=32)
def _verify(folder: Path, signature: str, key: Path, key_digest: str, manifest_digest: str, where: str) -> None:
    """Verify once a process: the manifest, whose digest is an argument, was compared with all files before."""
    from headrace.access.signing import verify

    verify(folder, signature, key, where=where)


def _read(file: Path | None) -> str:
    try:
        return file.read_text() if file is not None else ""
    except FileNotFoundError:
        return ""
