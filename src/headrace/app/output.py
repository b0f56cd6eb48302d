"""What a command prints with `--json`: one JSON value on standard output, and nothing else there."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def print_json(facts: Any) -> None:
    """Print a value as JSON: dataclasses as objects, paths as text."""
    print(json.dumps(facts, indent=2, ensure_ascii=False, default=_plain))


@contextlib.contextmanager
def text_for_people(*, as_json: bool) -> Iterator[None]:
    """Send the text that the block prints to standard error, where standard output is to hold JSON alone."""
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        yield


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a number of NumPy
        return value.item()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
