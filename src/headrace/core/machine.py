"""Convert errors of the operating system to HeadraceErrors: full or read-only disk, permissions, too many open files.

Libraries wrap the operating system's error, or keep only its text, so the whole chain of causes is searched.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from headrace.core.errors import UnavailableError
from headrace.core.sqlite_files import failure

_ROOM = "make room on the disk, then do it again: what was finished is kept"
_WRITABLE = "make it and its folder readable and writable for whoever runs this, then do it again"
_FIXES = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EROFS: _WRITABLE,
    errno.EACCES: _WRITABLE,
    errno.EPERM: _WRITABLE,
    errno.EIO: "see that the disk is sound, then do it again",
    errno.ENOTDIR: "a file stands where a folder belongs: move it away, then do it again",
    errno.EISDIR: "a folder stands where a file belongs: move it away, then do it again",
    errno.EMFILE: "raise the limit of open files (ulimit -n), then do it again",
}
#: Texts of libraries that keep only the message of the system's error.
_TEXTS = {
    "no space left": errno.ENOSPC,
    "disk is full": errno.ENOSPC,
    "file too large": errno.EFBIG,
    "read-only file system": errno.EROFS,
    "readonly database": errno.EROFS,
    "permission denied": errno.EACCES,
}


def machine_error(error: BaseException) -> UnavailableError | None:
    """Return the error of the operating system that caused an error; None where there is none."""
    for cause in _chain(error):
        if isinstance(cause, UnavailableError):
            return cause
        if isinstance(cause, OSError) and cause.errno in _FIXES:
            return _unavailable(cause.errno, str(cause.filename or ""))
        if isinstance(cause, sqlite3.Error):
            found = failure(cause, Path(), "")
            if isinstance(found, UnavailableError):
                return UnavailableError(f"a database {found.what}", where="state", fix=found.fix)
    for cause in _chain(error):
        text = str(cause).lower()
        for words, number in _TEXTS.items():
            if words in text:
                return _unavailable(number, "")
    return None


def _unavailable(number: int, where: str) -> UnavailableError:
    return UnavailableError(
        os.strerror(number).lower(), where=where or "the state folder or a temporary one", fix=_FIXES[number]
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, the first cause last."""
    visited: set[int] = set()
    while error is not None and id(error) not in visited:
        visited.add(id(error))
        yield error
        original = getattr(error, "orig", None)  # SQLAlchemy's
        error = original if isinstance(original, BaseException) else error.__cause__ or error.__context__
