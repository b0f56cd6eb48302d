"""Objects of a lake in S3, Google Cloud Storage or Azure, through obstore, which also retries and signs requests."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from headrace.core.errors import HeadraceError, UnavailableError
from headrace.core.s3_options import s3_options
from headrace.lake.object_store.objects import Objects

#: Seconds that a store may take to connect, to answer one request, and for a request with its repetitions.
_CONNECT_S, _ANSWER_S, _RETRY_S = 5, 120, 20
_RETRIES = 4
_CODE = re.compile(r"<Code>(\w+)</Code>")
_REFUSED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "403", "401")


def open_cloud(scheme: str, bucket: str, folder: str, options: Mapping[str, str], *, where: str) -> Objects:
    """Open a bucket or container. Credentials come from the environment or from the cloud's own files.

    Args:
        scheme: Of the address.
        bucket: Bucket or container.
        folder: Names of objects are relative to it; empty: to the bucket.
        options: Those of the address's query.
        where: The address without secrets, for errors.

    Raises:
        UnavailableError: obstore is not installed.
    """
    if importlib.util.find_spec("obstore") is None:
        raise UnavailableError("needs a package that is not installed", where=where, fix="pip install headrace[s3]")
    from obstore import store as stores

    given: dict[str, Any] = {
        "prefix": folder or None,
        "client_options": {"connect_timeout": f"{_CONNECT_S}s", "timeout": f"{_ANSWER_S}s"},
        "retry_config": {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_S)},
    }
    with _errors(where):
        if scheme in ("s3", "s3a"):
            return CloudObjects(_s3(bucket, options, given), where)
        if scheme in ("gs", "gcs"):
            return CloudObjects(stores.GCSStore(bucket, **given), where)
        return CloudObjects(stores.AzureStore(bucket, **given), where)


def _s3(bucket: str, options: Mapping[str, str], given: dict[str, Any]) -> Any:
    from obstore.store import S3Store

    place = s3_options(options)
    config: dict[str, Any] = {"checksum_algorithm": "SHA256"}  # the service compares it with what it received
    if place.endpoint:
        config["endpoint"] = place.endpoint
        given["client_options"]["allow_http"] = place.endpoint.startswith("http://")
    if place.region:
        config["region"] = place.region
    if place.anonymous:
        config["skip_signature"] = True
    elif not os.environ.get("AWS_ACCESS_KEY_ID") and (provider := _profile_credentials()) is not None:
        given["credential_provider"] = provider
    return S3Store(bucket, **{**given, "config": config})


def _profile_credentials() -> Any:
    """Credentials of AWS's files, which obstore does not read itself; None where there are no files or no boto3."""
    files = (os.environ.get(name, default) for name, default in (
        ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), ("AWS_CONFIG_FILE", "~/.aws/config")
    ))  # fmt: skip
    if not any(Path(name).expanduser().is_file() for name in files) or importlib.util.find_spec("boto3") is None:
        return None
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        return Boto3CredentialProvider()
    except ValueError:  # the files name no credentials
        return None


class CloudObjects:
    """Objects of a bucket or container.

    Args:
        store: obstore's.
        where: Its address without secrets, for errors.
    """

    def __init__(self, store: Any, where: str) -> None:
        self._store = store
        self.where = where

    def create(self, name: str, data: bytes) -> bool:
        """Create an object; False where one of that name exists. After a lost answer, False may be of this call."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with _errors(self.where):
            try:
                self._store.put(name, data, mode="create")
            except (AlreadyExistsError, PreconditionError):
                return False
            return True

    def write(self, name: str, source: Path) -> None:
        """Write an object from a file, whether or not it exists; in parts where it is large."""
        with _errors(self.where):
            self._store.put(name, source)

    def read(self, name: str) -> bytes | None:
        """Read an object; None where there is none."""
        with _errors(self.where):
            try:
                return bytes(self._store.get(name).bytes())
            except FileNotFoundError as error:
                _check_bucket(error)
                return None

    def fetch(self, name: str, target: Path) -> bool:
        """Write an object to a new file, part by part; False where there is none."""
        with _errors(self.where):
            try:
                found = self._store.get(name)
            except FileNotFoundError as error:
                _check_bucket(error)
                return False
            with target.open("wb") as file:
                for part in found.stream():
                    file.write(part)
            return True

    def names(self, folder: str, after: str = "") -> Sequence[str]:
        """Return the names of the objects in a folder, sorted; only those after a name where one is given."""
        with _errors(self.where):
            found = self._store.list(folder, offset=after or None, chunk_size=1000)
            return sorted(str(item["path"]) for part in found for item in part)

    def remove(self, name: str) -> None:
        """Remove an object, whether or not it exists."""
        with _errors(self.where):
            try:
                self._store.delete(name)
            except FileNotFoundError as error:
                _check_bucket(error)

    def age_s(self, name: str) -> float | None:
        """Return how long ago an object was written, seconds; None where there is none."""
        with _errors(self.where):
            try:
                written: datetime = self._store.head(name)["last_modified"]
                return (datetime.now(UTC) - written).total_seconds()
            except FileNotFoundError as error:
                _check_bucket(error)
                return None


def _check_bucket(error: FileNotFoundError) -> None:
    """Raise the error again where the bucket is missing, not the object: both are 404."""
    if "NoSuchBucket" in str(error):
        raise error


@contextmanager
def _errors(where: str) -> Iterator[None]:
    """Raise one UnavailableError in place of obstore's, whose texts hold whole requests and answers."""
    try:
        yield
    except HeadraceError:
        raise
    except Exception as error:
        what, fix = _reason(error)
        raise UnavailableError(what, where=where, fix=f"{fix}; run again: nothing is half written") from None


def _reason(error: Exception) -> tuple[str, str]:
    """What is wrong, and what to do about it."""
    text = str(error)
    code = found[1] if (found := _CODE.search(text)) else ""
    if code == "NoSuchBucket" or "ContainerNotFound" in text:
        return "there is no such bucket", "create it, or correct HEADRACE_LAKE"
    if type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError") or code in _REFUSED:
        return (
            f"the store of the lake refuses the credentials ({code or type(error).__name__})",
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or their files, and the rights of that user",
        )
    if isinstance(error, OSError) and error.strerror:
        return f"the lake cannot be copied ({error.strerror})", "check the disk of the home"
    reason = code or ("no connection" if "kind: Connect" in text else type(error).__name__)
    return f"the store of the lake does not answer ({reason})", "check HEADRACE_LAKE, the network and the service"
