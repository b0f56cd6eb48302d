"""Flags of an answer: what is unusual about a request, by name, for clients that want to see their mistakes.

lead_time_unusual        asked much earlier or later before the event than the rows of training
unknown_field:NAME       no column of the spine's table; ignored
unseen_category:NAME     a text that the model was not trained on; missing to it
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headrace.core.clock import SECOND
from headrace.core.errors import DataError
from headrace.serving.request import RequestRow, RequestSchema, check_row

if TYPE_CHECKING:
    from headrace.models.bundle import Bundle

LEAD_TIME_UNUSUAL = "lead_time_unusual"
UNKNOWN_FIELD, UNSEEN_CATEGORY = "unknown_field", "unseen_category"
#: Most unknown fields that are named: a client chooses how many there are, and how long they are.
MAX_UNKNOWN, MAX_LENGTH = 20, 100


def checked_row(schema: RequestSchema, row: Mapping[str, Any], where: str, *, strict: bool = False) -> RequestRow:
    """Validate one row (`check_row`) and flag what is unusual about it.

    Args:
        schema: Columns of the request.
        row: Column -> JSON value.
        where: Name of the row for errors.
        strict: Refuse the row where it has an unknown field or an unseen category.

    Raises:
        DataError: A column is absent, has a wrong type, or is refused by `strict`.
    """
    request_row = check_row(schema, row, where)
    unknown, unseen = unknown_fields(schema, row), unseen_categories(schema, request_row)
    if strict and unknown:
        raise _unknown_field(schema, unknown, where)
    if strict and unseen:
        raise _unseen_category(schema, request_row, unseen[0], where)
    if not (unknown or unseen):
        return request_row
    named = [f"{UNKNOWN_FIELD}:{name[:MAX_LENGTH]}" for name in unknown[:MAX_UNKNOWN]]
    return replace(request_row, flags=(*named, *(f"{UNSEEN_CATEGORY}:{name}" for name in unseen)))


def unknown_fields(schema: RequestSchema, row: Mapping[str, Any]) -> list[str]:
    """Return the fields of a row that are no column; none where the columns of the table are not known."""
    if schema.ignored is None:
        return []
    own = schema.own_fields
    return [name for name in row if name not in schema.ignored and name not in own]


def unseen_categories(schema: RequestSchema, row: RequestRow) -> list[str]:
    """Return the columns of a row whose text is not among the values that the model was trained on."""
    return [
        name
        for name, known in schema.categories.items()
        if (value := row.columns.get(name)) is not None and str(value) not in known
    ]


def all_flags(usual: tuple[float, float] | None, row: RequestRow, now_us: int) -> tuple[str, ...]:
    """Return the flags of an answer: its lead time now, and what `checked_row` found.

    Args:
        usual: Lead times that are usual, from and to, microseconds (`usual_lead_times`).
        row: The row.
        now_us: The present on the production clock.
    """
    if usual is None or row.time_us is None or usual[0] <= row.time_us - now_us <= usual[1]:
        return row.flags
    return (LEAD_TIME_UNUSUAL, *row.flags)


def usual_lead_times(bundle: Bundle, tick_us: int) -> tuple[float, float] | None:
    """Return the lead times to the event that are usual in training, one tick wider on each side; None: not known."""
    if not bundle.lead_time:
        return None
    low, high = (bundle.lead_time[name] * SECOND for name in ("low_s", "high_s"))
    return low - tick_us, high + tick_us


def _unknown_field(schema: RequestSchema, unknown: list[str], where: str) -> DataError:
    known = sorted(schema.own_fields | (schema.ignored or frozenset()))
    similar = difflib.get_close_matches(unknown[0], known, n=1)
    advice = f"did you mean {similar[0]}? Else leave it out" if similar else "leave it out"
    return DataError(
        f"unknown field {', '.join(name[:MAX_LENGTH] for name in unknown[:MAX_UNKNOWN])}",
        where=where,
        found=known,
        fix=f"{advice}, or send the request without strict",
    )


def _unseen_category(schema: RequestSchema, row: RequestRow, name: str, where: str) -> DataError:
    return DataError(
        f"{str(row.columns[name])[:MAX_LENGTH]!r} is not among the values that the model was trained on",
        where=f"{where}, {name}",
        found=sorted(schema.categories[name]),
        fix="send null where it is not known, or send the request without strict",
    )
