"""Model inputs of a logged prediction as bytes: eight for each number, names once per model; for `log`.

As JSON, 120 features are 8,000 characters of a row, most of them names. Here a row has the digest of its names, the
numbers as float64, and the texts as JSON. The names are a row of the log's table `feature_names`.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from headrace.core.errors import CorruptError

#: Bytes of a digest of names at the start of packed features.
_DIGEST = 8


@dataclass(frozen=True, kw_only=True)
class FeatureNames:
    """Names of the features of one model.

    Attributes:
        names: All of them, in order.
        texts: Those whose values are texts.
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Those whose values are numbers, in order."""
        texts = frozenset(self.texts)
        return tuple(name for name in self.names if name not in texts)

    @cached_property
    def content(self) -> str:
        """The names as JSON."""
        return json.dumps([self.names, self.texts])

    @cached_property
    def digest(self) -> bytes:
        """Digest of the content."""
        return hashlib.sha256(self.content.encode()).digest()[:_DIGEST]

    @classmethod
    def from_content(cls, content: str) -> FeatureNames:
        """Read names that `content` wrote."""
        names, texts = json.loads(content)
        return cls(names=tuple(names), texts=tuple(texts))


class PackedFeatures(Mapping[str, float | str | None]):
    """Features of one prediction: name -> value, None is missing.

    Args:
        names: The model's features.
        numbers: float64 values of `names.numbers`, little endian; NaN is missing.
        texts: Values of `names.texts`.
    """

    __slots__ = ("_values", "names", "numbers", "texts")

    def __init__(self, names: FeatureNames, numbers: bytes, texts: Sequence[str | None]) -> None:
        self.names = names
        self.numbers = numbers
        self.texts = texts
        self._values: dict[str, float | str | None] | None = None

    def to_bytes(self) -> bytes:
        """Return the digest of the names, the numbers, and the texts as JSON."""
        try:
            texts = orjson.dumps(self.texts)
        except TypeError:  # lone surrogates
            texts = json.dumps(self.texts).encode()
        return b"".join((self.names.digest, self.numbers, texts))

    @classmethod
    def from_bytes(cls, packed: bytes, names_of: Callable[[bytes], FeatureNames]) -> PackedFeatures:
        """Read what `to_bytes` wrote. names_of: digest -> names."""
        names = names_of(packed[:_DIGEST])
        end = _DIGEST + 8 * len(names.numbers)
        return cls(names, packed[_DIGEST:end], json.loads(packed[end:]))

    def __getitem__(self, name: str) -> float | str | None:
        return self._unpacked[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names.names)

    def __len__(self) -> int:
        return len(self.names.names)

    def __repr__(self) -> str:
        return repr(self._unpacked)

    @property
    def _unpacked(self) -> dict[str, float | str | None]:
        if self._values is None:
            values: dict[str, Any] = dict.fromkeys(self.names.names)
            numbers = struct.unpack(f"<{len(self.names.numbers)}d", self.numbers)
            finite = (number if math.isfinite(number) else None for number in numbers)
            values.update(zip(self.names.numbers, finite, strict=True))
            values.update(zip(self.names.texts, self.texts, strict=True))
            self._values = values
        return self._values


class EncodedMapping(dict[str, Any]):
    """A mapping that many rows share, with its JSON, which is made once."""

    @cached_property
    def text(self) -> str:
        return orjson.dumps(dict(self)).decode()


def names_by_digest(rows: Sequence[tuple[bytes, str]], where: str) -> dict[bytes, FeatureNames]:
    """Read rows of the table `feature_names`. Raises CorruptError where a digest is not that of its names."""
    try:
        found = {digest: FeatureNames.from_content(content) for digest, content in rows}
    except (ValueError, TypeError):
        found = {b"": FeatureNames(names=(), texts=())}
    if any(names.digest != digest for digest, names in found.items()):
        raise CorruptError("names of features in the prediction log are damaged", where=where)
    return found
