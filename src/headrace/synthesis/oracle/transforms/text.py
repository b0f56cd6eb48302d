"""Counts in texts, and parts of texts of a known form, in plain Python.

White space is blank, tab, newline, form feed and carriage return; letters, capitals and signs are those of Unicode.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any
from unicodedata import category
from zlib import crc32

from headrace.synthesis.oracle.transforms.rows import Twin, of_known

_BLANKS = " \t\n\f\r"


def _words(text: str) -> list[str]:
    for blank in _BLANKS:
        text = text.replace(blank, " ")
    return [word for word in text.split(" ") if word]


def _count(text: str, condition: Callable[[str], bool]) -> int:
    return sum(map(condition, text))


def _is_capital(letter: str) -> bool:
    return category(letter) == "Lu"


def _is_digit(letter: str) -> bool:
    return letter in string.digits


def _share_of_capitals(text: str) -> float | None:
    letters = _count(text, lambda letter: category(letter).startswith("L"))
    return _count(text, _is_capital) / letters if letters else None


def _mean_length(text: str) -> float | None:
    words = _words(text)
    return sum(map(len, words)) / len(words) if words else None


def _email_domain(text: str) -> str | None:
    """name@domain, where a dot stands inside the domain."""
    name, at, domain = text.strip(_BLANKS).partition("@")
    one_word = len(_words(name)) == len(_words(domain)) == 1 and not set(name + domain) & set(_BLANKS)
    return domain.lower() if one_word and "@" not in domain and "." in domain[1:-1] and at else None


def _url_domain(text: str) -> str | None:
    """scheme://user@domain:port/path?query#fragment"""
    scheme, separator, rest = text.lstrip(_BLANKS).partition("://")
    allowed = string.ascii_letters + string.digits + "+.-"
    if not separator or scheme[:1] not in [*string.ascii_letters] or not set(scheme) <= set(allowed):
        return None
    for end in "/?#" + _BLANKS:
        rest = rest.partition(end)[0]
    domain = rest.partition("@")[2].partition(":")[0] or rest.partition(":")[0]
    return domain.lower() or None


def _decimal(text: str) -> float | None:
    text = text.strip(_BLANKS)
    whole, point, fraction = text.removeprefix("-" if text[:1] == "-" else "+").partition(".")
    digits = [whole, fraction] if point else [whole]
    return float(text) if all(part and set(part) <= set(string.digits) for part in digits) else None


def _coordinate(index: int) -> Callable[[str], float | None]:
    """Of two decimal numbers with a comma between them; brackets may stand around."""

    def read(text: str) -> float | None:
        parts = text.strip(_BLANKS).removeprefix("(").removesuffix(")").split(",")
        numbers = [_decimal(part) for part in parts]
        return numbers[index] if len(numbers) == 2 and None not in numbers else None

    return read


def _share_of_bucket(bucket: int) -> Callable[[str], float | None]:
    def read(text: str) -> float | None:
        words = text.lower().split()
        return sum(crc32(word.encode()) % 16 == bucket for word in words) / len(words) if words else None

    return read


_FUNCTIONS: dict[str, Callable[[str], Any]] = {
    **{f"hashed_words_{bucket}": _share_of_bucket(bucket) for bucket in range(16)},
    "num_characters": len,
    "num_words": lambda text: len(_words(text)),
    "num_unique_words": lambda text: len(set(text.lower().split())),
    "mean_characters_per_word": _mean_length,
    "num_digits": lambda text: _count(text, _is_digit),
    "num_uppercase": lambda text: _count(text, _is_capital),
    "num_punctuation": lambda text: _count(text, lambda letter: category(letter)[0] in "PS"),
    "num_whitespace": lambda text: _count(text, lambda letter: letter in _BLANKS),
    "num_lines": lambda text: text.count("\n") + 1,
    "num_title_words": lambda text: sum(_is_capital(word[0]) for word in _words(text)),
    "percent_uppercase": _share_of_capitals,
    "has_digits": lambda text: any(map(_is_digit, text)),
    "is_empty_text": lambda text: not _words(text),
    "email_domain": _email_domain,
    "is_email": lambda text: _email_domain(text) is not None,
    "url_domain": _url_domain,
    "latitude": _coordinate(0),
    "longitude": _coordinate(1),
}
TEXTS: dict[str, Twin] = {name: of_known(function) for name, function in _FUNCTIONS.items()}
