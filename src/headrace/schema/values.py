"""Check single values of a declaration: whole numbers, numbers in a range, durations. For the classes beside it."""

from __future__ import annotations

from headrace.core.clock import parse_duration
from headrace.core.errors import DeclarationError


def check_whole(name: str, value: object, *, where: str, least: int) -> None:
    """Require a whole number of `least` or more.

    Raises:
        DeclarationError: for anything else, a boolean included.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DeclarationError(f"{name}={value!r}", where=where, fix=f"give a whole number, {least} or more")


def check_number(
    name: str, value: object, *, where: str, low: float, high: float = float("inf"), ends: bool = False
) -> None:
    """Require a number between `low` and `high`; both bounds count as inside where `ends` is true.

    Raises:
        DeclarationError: for anything else, a boolean and NaN included.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and (low < value < high or (ends and value in (low, high))):  # type: ignore[operator]
        return
    span = f"above {low:g}" if high == float("inf") else f"between {low:g} and {high:g}"
    raise DeclarationError(f"{name}={value!r}", where=where, fix=f"give a number {span}")


def check_duration(name: str, value: object, *, where: str) -> None:
    """Require a duration such as `"7d"`.

    Raises:
        DeclarationError: for anything else.
    """
    if not isinstance(value, str):
        raise DeclarationError(f"{name}={value!r} is not a duration", where=where, fix="write it as '7d' or '12h'")
    try:
        parse_duration(value)
    except DeclarationError as error:
        raise DeclarationError(f"{name}: {error.what}", where=where, fix=error.fix) from None
