"""Draw named values as horizontal bars in HTML: each name in full, its bar, and its value as text."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A named value. text: the value as people read it; note: a remark below the name."""

    name: str
    value: float
    text: str
    note: str = ""


def bar_chart(title: str, bars: Sequence[Bar], *, name: str = "name", value: str = "value") -> str:
    """Draw bars as a table, which a screen reader reads as one.

    Args:
        title: Caption.
        bars: In the order of the rows.
        name: Heading of the names.
        value: Heading of the values.

    Returns:
        HTML; a sentence where there are no bars.
    """
    if not bars:
        return f'<figure class="chart"><figcaption>{html.escape(title)}</figcaption><p>No values.</p></figure>'
    largest = max((abs(bar.value) for bar in bars), default=0.0) or 1.0
    rows = "".join(_row(bar, largest) for bar in bars)
    return (
        f'<figure class="chart"><figcaption>{html.escape(title)}</figcaption>'
        f'<div class="scroll" tabindex="0" role="group" aria-label="{html.escape(title, quote=True)}">'
        f'<table class="bars"><thead><tr><th scope="col">{html.escape(name)}</th>'
        f'<th scope="col" colspan="2">{html.escape(value)}</th></tr></thead><tbody>{rows}</tbody></table>'
        "</div></figure>"
    )


def _row(bar: Bar, largest: float) -> str:
    width = 100 * abs(bar.value) / largest
    note = f"<br><small>{html.escape(bar.note)}</small>" if bar.note else ""
    drawn = f'<rect class="bar main" x="0" y="2" width="{width:.1f}" height="10"/>'
    return (
        f'<tr><th scope="row">{html.escape(bar.name)}{note}</th><td>{html.escape(bar.text)}</td><td class="drawn">'
        f'<svg viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg></td></tr>'
    )
