"""Digests of entities' join keys, beside the rows of a reference and of a monitored window, for drift tests.

A digest tells which rows are of the same entity, and which entities recur, without keeping the keys themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from headrace.lake.keys import KeyValue, value_text

#: Prefix of the columns of digests, before the name of the entity. A slug never starts with an underscore.
ENTITY = "_entity_"


def entity_digests(keys: Iterable[Sequence[KeyValue]]) -> NDArray[np.int64]:
    """Return a digest of the join keys of each row [n]; equal in every process.

    Args:
        keys: Canonical values of an entity's join keys, of each row.
    """
    known: dict[tuple[str | None, ...], int] = {}
    digests = []
    for key in keys:
        texts = tuple(value_text(value) for value in key)
        if texts not in known:
            digest = hashlib.blake2b(repr(texts).encode(), digest_size=8).digest()
            known[texts] = int.from_bytes(digest, "big", signed=True)
        digests.append(known[texts])
    return np.array(digests, dtype=np.int64)


def entity_columns(
    columns: Mapping[str, Sequence[KeyValue]], entities: Mapping[str, Sequence[str]]
) -> dict[str, NDArray[np.int64]]:
    """Return a column of digests for each entity, by the name that the reference gives it.

    Args:
        columns: Join key -> its canonical value in each row [n].
        entities: Entity -> its join keys. One with a key that `columns` lacks is left out.
    """
    return {
        ENTITY + name: entity_digests(zip(*(columns[key] for key in keys), strict=True))
        for name, keys in entities.items()
        if all(key in columns for key in keys)
    }
