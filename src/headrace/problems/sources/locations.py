"""Find the files of a source: a path, a folder or a pattern, on this machine or in an object store.

S3, Google Cloud Storage and local files are read through PyArrow's own file systems, all else through fsspec.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.fs as fs

from headrace.core.errors import DataError, UnavailableError
from headrace.core.redact import redact
from headrace.core.s3_options import s3_options
from headrace.problems.sources.environment import expanded

FORMATS = (".csv", ".csv.gz", ".parquet")
#: Schemes that PyArrow reads.
_OWN_SCHEMES = ("file", "s3", "s3a", "gs", "gcs")
#: Seconds that an object store may take to connect, and to answer.
_CONNECT_S, _ANSWER_S = 5, 60
_UNREACHABLE = re.compile(r"connect|network|timeout|timed out|resolve|curlCode|refused", re.IGNORECASE)
#: What PyArrow's datasets write before the error of a file.
_DATASET = re.compile(r"^Error creating dataset\..*\?: ")
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, kw_only=True)
class FileStamp:
    """A file, and what tells whether it has changed."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True)
class Location:
    """The files of a source.

    Attributes:
        filesystem: where they are.
        files: in the order of their paths.
        folder: what their partitions (`year=2024`) are relative to; None for a single file.
        local: whether they are files of this machine.
    """

    filesystem: fs.FileSystem = field(compare=False)
    files: tuple[FileStamp, ...]
    folder: str | None
    local: bool


def locate(address: str | Path) -> Location:
    """List the files of an address.

    Args:
        address: a path or `scheme://` address of a file, a folder (all files below), or a pattern with *, ** and ?.

    Raises:
        DataError: there is no such file, it is a table of another format, or no files are read from such addresses.
        UnavailableError: the object store does not answer.
    """
    text = expanded(str(address))
    with reachable(text):
        filesystem, path = _filesystem(text)
        wild = _WILD.search(path)
        if wild is not None:
            folder: str | None = path[: wild.start()].rpartition("/")[0]
            found = [item for item in _below(filesystem, folder or ".") if _matches(item.path, path)]
        else:
            info = filesystem.get_file_info(path)
            folder = path if info.type == fs.FileType.Directory else None
            found = [info] if info.is_file else []
        if folder is not None and wild is None:
            found = _below(filesystem, path)
            _refuse_other_formats(filesystem, path, text)
    files = tuple(FileStamp(path=item.path, size=item.size or 0, mtime_ns=item.mtime_ns or 0) for item in found)
    if not files:
        _refuse_silence(filesystem, path, text)
        what = "no such file" if folder is None else "no CSV or Parquet file in it"
        what = what if wild is None else "no file fits the pattern"
        raise DataError(what, where=redact(text), found=_neighbours(text), fix="check the table's source")
    local = isinstance(filesystem, fs.LocalFileSystem)
    return Location(filesystem=filesystem, files=files, folder=folder, local=local)


@contextmanager
def reachable(address: str, fix: str = "correct the file") -> Iterator[None]:
    """Turn errors of a file system into UnavailableError where a service does not answer, else into DataError.

    Args:
        address: what is read.
        fix: what to do where it answers and cannot be read.
    """
    try:
        yield
    except (OSError, pa.ArrowException, ValueError) as error:
        first = _DATASET.sub("", str(error).splitlines()[0]) if str(error) else type(error).__name__
        if "://" in address and _UNREACHABLE.search(first):
            raise UnavailableError(
                f"does not answer: {first}", where=redact(address), fix="check the address and the network; run again"
            ) from None
        raise DataError(f"cannot be read: {first}", where=redact(address), fix=fix) from None
    except ImportError as error:
        raise DataError(
            f"needs a package that is not installed: {error}", where=redact(address), fix="pip install it"
        ) from None


def _filesystem(text: str) -> tuple[fs.FileSystem, str]:
    if "://" not in text:
        return fs.LocalFileSystem(), text
    parts = urlsplit(text)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.scheme == "file":
        return fs.LocalFileSystem(), parts.path
    if parts.scheme in ("s3", "s3a"):
        return _s3(options), f"{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
    if parts.scheme in ("gs", "gcs"):
        return _gcs(options), f"{parts.netloc}{parts.path}".rstrip("/")
    import fsspec  # type: ignore[import-untyped,unused-ignore]

    known = {*fsspec.available_protocols(), *fsspec.registry}
    if parts.scheme not in known:
        raise DataError(
            f"no files are read from addresses of the scheme {parts.scheme!r}",
            where=redact(text),
            found=[*_OWN_SCHEMES, *sorted(known - {*_OWN_SCHEMES})],
            fix="write one of these, or the address of a database or of a lake house (docs/sources.md)",
        )
    filesystem, path = fsspec.core.url_to_fs(text)
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path


def _refuse_silence(filesystem: fs.FileSystem, path: str, text: str) -> None:
    """Raise UnavailableError where fsspec says "not found" of a server that does not answer."""
    if not isinstance(filesystem, fs.PyFileSystem):
        return
    try:
        filesystem.handler.fs.info(path)
    except FileNotFoundError as error:
        if error.__cause__ is not None and not isinstance(error.__cause__, FileNotFoundError):
            raise UnavailableError(
                f"does not answer: {error.__cause__}", where=redact(text), fix="check the address and the network"
            ) from None


def _s3(options: dict[str, str]) -> fs.FileSystem:
    place = s3_options(options)
    given: dict[str, Any] = {"connect_timeout": _CONNECT_S, "request_timeout": _ANSWER_S}
    if place.endpoint:
        scheme, _, host = place.endpoint.rpartition("://")
        given |= {"endpoint_override": host, "scheme": scheme}
    if place.region:
        given["region"] = place.region
    return fs.S3FileSystem(
        anonymous=place.anonymous,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=2),
        **given,
    )


def _gcs(options: dict[str, str]) -> fs.FileSystem:
    given: dict[str, Any] = {"retry_time_limit": timedelta(seconds=_ANSWER_S)}
    if endpoint := options.get("endpoint_override") or os.environ.get("STORAGE_EMULATOR_HOST"):
        scheme, _, host = endpoint.rpartition("://")
        given |= {"endpoint_override": host, "scheme": options.get("scheme", scheme or "https")}
    return fs.GcsFileSystem(anonymous=options.get("anonymous") == "true", **given)


def _below(filesystem: fs.FileSystem, folder: str) -> list[fs.FileInfo]:
    """Files with a name that Headrace reads, without hidden ones and those of writers (`_SUCCESS`)."""
    listed = filesystem.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
    found = [item for item in listed if item.is_file and item.base_name.endswith(FORMATS)]
    inside = [item for item in found if not _hidden(item.path[len(folder.rstrip("/")) :])]
    return sorted(inside, key=lambda item: str(item.path))


def _hidden(path: str) -> bool:
    return any(part.startswith(("_", ".")) for part in path.strip("/").split("/"))


def _matches(path: str, pattern: str) -> bool:
    """Whether a path fits a pattern: * and ? inside a folder, ** over folders."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", pattern)
    regex = "".join(words.get(part, part if part.startswith("[") else re.escape(part)) for part in parts)
    return re.fullmatch(regex.removeprefix(re.escape("./")), path.removeprefix("./")) is not None


def _refuse_other_formats(filesystem: fs.FileSystem, path: str, text: str) -> None:
    """The Parquet files of a Delta or Iceberg table hold rows that were deleted: its log says which count."""
    scheme, _, rest = text.rpartition("://")
    for folder, name in (("_delta_log", "delta"), ("metadata", "iceberg")):
        info = filesystem.get_file_info(fs.FileSelector(f"{path}/{folder}", allow_not_found=True))
        if (name == "delta" and info) or any(item.base_name.endswith(".metadata.json") for item in info):
            address = f"delta+{scheme}://{rest}" if scheme else f"delta:///{rest}"
            fix = f"write source={address!r}" if name == "delta" else "write source='iceberg://CATALOG/schema.table'"
            raise DataError(f"the folder is a table of {name.capitalize()}", where=redact(text), fix=fix)


def _neighbours(text: str) -> list[str]:
    parent = Path(text).parent
    if "://" in text or not parent.is_dir():
        return []
    return sorted(item.name for item in parent.iterdir() if item.name.endswith(FORMATS))
