"""Words of texts in numbered buckets: the share of a text's words that fall into each of sixteen.

The hashing trick (Weinberger and others, 2009): a word's bucket follows from its letters alone. Nothing is learnt from
other rows, so that a value is known when its text is, and is the same in training and in serving.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.synthesis.language.values import Floats, Ints
from headrace.synthesis.transforms.transform import TEXT, TransformPrimitive

BUCKETS = 16
#: What a problem writes for all of them.
ALL_BUCKETS = "hashed_words"


def expanded(primitives: tuple[str, ...]) -> tuple[str, ...]:
    """Names of primitives, with `hashed_words` replaced by those of all buckets."""
    names: list[str] = []
    for name in primitives:
        names += [one.name for one in HASHED_WORDS] if name == ALL_BUCKETS else [name]
    return tuple(dict.fromkeys(names))


def _bucket(bucket: int) -> TransformPrimitive:
    def compute(columns: list[Any], _ticks_us: Ints) -> Floats:
        return _shares(columns[0], bucket)

    return TransformPrimitive(
        name=f"{ALL_BUCKETS}_{bucket}",
        description=f"the share of the words of a, capitals aside, whose CRC-32 modulo {BUCKETS} is {bucket}",
        inputs=(TEXT,),
        compute=compute,
        cost=3.0,
    )


def _shares(text: pa.Array, bucket: int) -> Floats:
    """The share of each text's words that fall into a bucket [n]; missing where there is no word."""
    words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pc.utf8_lower(text)))
    row = pc.list_parent_indices(words).to_numpy()
    encoded = pc.list_flatten(words).dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    inside = np.array([bool(word) and crc32(word.encode()) % BUCKETS == bucket for word in distinct], dtype=np.bool_)
    is_word = np.array([bool(word) for word in distinct], dtype=np.bool_)
    code = encoded.indices.to_numpy()
    many, within = (np.bincount(row, flags[code], len(text)) if len(code) else np.zeros(len(text))
                    for flags in (is_word, inside))  # fmt: skip
    with np.errstate(all="ignore"):
        return np.where(many > 0, within / many, np.nan)


#: One transform a bucket.
HASHED_WORDS = tuple(_bucket(bucket) for bucket in range(BUCKETS))
