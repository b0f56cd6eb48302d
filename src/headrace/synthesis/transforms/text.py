"""Counts in texts, and parts of texts of a known form. Letters and signs are those of Unicode; words end at space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.synthesis.language.values import Floats, Ints, numbers
from headrace.synthesis.transforms.transform import CATEGORY, TEXT, TransformPrimitive

_ANY = (TEXT, CATEGORY)
_EMAIL = r"^\s*[^@\s]+@(?P<part>[^@\s]+\.[^@\s]+)\s*$"
_URL = r"^\s*(?:[A-Za-z][A-Za-z0-9+.-]*://)(?:[^/@?#\s]*@)?(?P<part>[^:/?#\s]+)"
_NUMBER = r"[-+]?[0-9]+(?:\.[0-9]+)?"
_LATITUDE = rf"^\s*\(?\s*(?P<part>{_NUMBER})\s*,\s*{_NUMBER}\s*\)?\s*$"
_LONGITUDE = rf"^\s*\(?\s*{_NUMBER}\s*,\s*(?P<part>{_NUMBER})\s*\)?\s*$"


def _of_text(
    name: str, description: str, read: Callable[[pa.Array], Any], inputs: Any = (TEXT,), result: Any = "numeric"
) -> TransformPrimitive:
    def compute(columns: list[pa.Array], _ticks_us: Ints) -> Any:
        values = read(columns[0])
        return values if result == "categorical" else numbers(values)

    return TransformPrimitive(
        name=name, description=description, inputs=inputs, compute=compute, result=result, cost=3.0
    )


def _count(pattern: str) -> Callable[[pa.Array], pa.Array]:
    return lambda text: pc.count_substring_regex(text, pattern)


def _extract(pattern: str) -> Callable[[pa.Array], pa.Array]:
    return lambda text: pc.struct_field(pc.extract_regex(text, pattern), "part")


def _per(pattern: str, other: str) -> Callable[[pa.Array], Floats]:
    """Occurrences of one pattern per occurrence of another; missing where there is none."""

    def read(text: pa.Array) -> Floats:
        above, below = numbers(_count(pattern)(text)), numbers(_count(other)(text))
        with np.errstate(all="ignore"):
            return np.where(below > 0, above / below, np.nan)

    return read


def _unique_words(text: pa.Array) -> Floats:
    words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pc.utf8_lower(text)))
    row = pc.list_parent_indices(words).to_numpy()
    word = pc.list_flatten(words)
    not_empty = pc.utf8_length(word).to_numpy() > 0
    code = word.dictionary_encode().indices.to_numpy()
    pairs = np.unique(np.stack([row[not_empty], code[not_empty]]), axis=1)
    counted = np.bincount(pairs[0], minlength=len(text)).astype(np.float64)
    return np.where(text.is_null().to_numpy(zero_copy_only=False), np.nan, counted)


def _coordinate(pattern: str) -> Callable[[pa.Array], pa.Array]:
    return lambda text: _extract(pattern)(text).cast(pa.float64())


TEXTS = (
    _of_text("num_characters", "how many characters a has", pc.utf8_length, _ANY),
    _of_text("num_words", "how many words a has", _count(r"\S+"), _ANY),
    _of_text("num_unique_words", "how many different words a has, capitals aside", _unique_words),
    _of_text("mean_characters_per_word", "mean length of the words of a", _per(r"\S", r"\S+")),
    _of_text("num_digits", "how many digits a has", _count("[0-9]"), _ANY),
    _of_text("num_uppercase", "how many capitals a has", _count(r"\p{Lu}"), _ANY),
    _of_text("num_punctuation", "how many punctuation marks and symbols a has", _count(r"[\p{P}\p{S}]"), _ANY),
    _of_text("num_whitespace", "how many white spaces a has", _count(r"\s")),
    _of_text("num_lines", "how many lines a has", lambda text: pc.add(pc.count_substring(text, "\n"), 1)),
    # A match takes the whole word: Arrow counts on from the end of a match, where ^ would match again.
    _of_text("num_title_words", "how many words of a begin with a capital", _count(r"(?:^|\s)\p{Lu}\S*")),
    _of_text("percent_uppercase", "capitals / letters of a", _per(r"\p{Lu}", r"\p{L}")),
    _of_text(
        "has_digits", "whether a has a digit", lambda text: pc.match_substring_regex(text, "[0-9]"), _ANY, "boolean"
    ),
    _of_text(
        "is_empty_text",
        "whether a is empty but for white space",
        lambda text: pc.match_substring_regex(text, r"^\s*$"),
        (TEXT,),
        "boolean",
    ),
    _of_text(
        "email_domain",
        "what follows the @ of the address a",
        lambda text: pc.utf8_lower(_extract(_EMAIL)(text)),
        _ANY,
        "categorical",
    ),
    _of_text(
        "is_email",
        "whether a is written like an address",
        lambda text: pc.match_substring_regex(text, _EMAIL),
        _ANY,
        "boolean",
    ),
    _of_text(
        "url_domain", "the host of the URL a", lambda text: pc.utf8_lower(_extract(_URL)(text)), _ANY, "categorical"
    ),
    _of_text("latitude", "the latitude in a, written (latitude, longitude)", _coordinate(_LATITUDE), _ANY),
    _of_text("longitude", "the longitude in a, written (latitude, longitude)", _coordinate(_LONGITUDE), _ANY),
)
