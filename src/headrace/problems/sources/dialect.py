"""Detect the encoding, delimiter and decimal character of a CSV file; name them where a declaration has others."""

from __future__ import annotations

import csv
import gzip
import re
from pathlib import Path

from headrace.core.errors import DataError

#: Bytes of the file that are looked at.
_SAMPLE = 200_000
_DELIMITERS = ",;\t|"


def detect_encoding(path: Path) -> str:
    """Return "utf-8", "utf-16" or, where the bytes are neither, "cp1252"."""
    start = _start(path)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    for cut in range(4):  # the sample may end inside a character
        try:
            start[: len(start) - cut].decode("utf-8")
            return "utf-8"
        except UnicodeDecodeError as error:
            if error.start < len(start) - 4:
                break
    return "cp1252"


def detect_delimiter(path: Path, encoding: str) -> str:
    """Return the delimiter: the one that gives the same number of values, two or more, in the first lines."""
    lines = _start(path).decode(encoding, "replace").splitlines()[:50]
    try:
        return csv.Sniffer().sniff("\n".join(lines), delimiters=_DELIMITERS).delimiter
    except csv.Error:
        counts = {delimiter: lines[0].count(delimiter) if lines else 0 for delimiter in _DELIMITERS}
        best = max(counts, key=lambda delimiter: counts[delimiter])
        return best if counts[best] else ","


def detect_decimal(path: Path, encoding: str, delimiter: str) -> str:
    """Return "," where values between other delimiters look like 3,14 and none like 3.14; else "."."""
    if delimiter == ",":
        return "."
    text = _start(path).decode(encoding, "replace")
    values = [value.strip() for line in text.splitlines()[1:200] for value in line.split(delimiter)]
    commas = sum(re.fullmatch(r"[+-]?\d+,\d+", value) is not None for value in values)
    points = sum(re.fullmatch(r"[+-]?\d+\.\d+", value) is not None for value in values)
    return "," if commas > points else "."


def refuse_other_dialect(path: Path, delimiter: str, encoding: str) -> None:
    """Raise DataError, with the source to declare, where the file seems to have another delimiter or encoding."""
    found_encoding = detect_encoding(path)
    found = detect_delimiter(path, found_encoding)
    names = []
    if found_encoding != encoding and not (encoding != "utf-8" and found_encoding == "cp1252"):
        names.append(f"encoding={found_encoding!r}")
    if found != delimiter:
        names.append(f"delimiter={found!r}")
    if names:
        if detect_decimal(path, found_encoding, found) == ",":
            names.append("decimal=','")
        raise DataError(
            f"the file seems to have {' and '.join(names)}",
            where=str(path),
            fix=f"declare source=FileSource({path.name!r}, {', '.join(names)}), "
            "after `from headrace.problems.sources import FileSource`",
        )


def _start(path: Path) -> bytes:
    if path.name.endswith(".gz"):
        with gzip.open(path) as file:
            return file.read(_SAMPLE)
    with path.open("rb") as file:
        return file.read(_SAMPLE)
