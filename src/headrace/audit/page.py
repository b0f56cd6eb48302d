"""The page of a certificate: one HTML file without scripts or foreign addresses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from headrace.audit.certificate import Certificate

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { text-align: left; padding: .3rem .8rem .3rem 0;
vertical-align: top; border-bottom: 1px solid #ccc; } td.number { text-align: right; }
.passed { color: #0a6b2d; } .failed { color: #a40000; font-weight: bold; }
code { font-size: 85%; word-break: break-all; }
"""


def page(certificate: Certificate) -> str:
    """Return the HTML of a certificate."""
    verdict = "passed" if certificate.passed else "failed"
    title = f"Certificate of {certificate.problem}, version {certificate.version}"
    checks = [
        (item.name, f'<span class="{item.outcome.split()[0]}">{item.outcome}</span>', item.values, item.different,
         escape(item.text))
        for item in certificate.checks
    ]  # fmt: skip
    reason = f": {certificate.reason}" if certificate.reason else ""
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="{verdict}">{verdict.capitalize()}{escape(reason)}.</p>',
        f"<p>Made at {certificate.made} on the production clock, by Headrace {escape(certificate.headrace)}.</p>",
        "<h2>Checks</h2>",
        _table(("check", "result", "values compared", "values that differ", "what was compared"), checks),
        "<h2>Late data</h2>",
        _late(certificate),
        "<h2>Ticks of the training rows</h2>",
        f"<p>{certificate.ticks.rows:,} rows at {certificate.ticks.distinct:,} different ticks, from "
        f"{certificate.ticks.first or 'none'} to {certificate.ticks.last or 'none'}.</p>",
        "<h2>Hashes</h2>",
        _table(("of", "sha256"), [(escape(of), f"<code>{value}</code>") for of, value in certificate.hashes.items()]),
    ]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _late(certificate: Certificate) -> str:
    late = certificate.late
    if late is None:
        return "<p>There are no past rows.</p>"
    text = (
        f"<p>With timely data, {late.changed:,} of {late.rows:,} training rows would have another feature, and "
        f"{late.added:,} more rows would exist.</p>"
    )
    rows = [
        (
            escape(str(item["feature"])),
            f"{item['share']:.2%}",
            "" if item["spreads"] is None else f"{item['spreads']:.3g}",
        )
        for item in late.most
    ]
    return text + (_table(("feature", "rows that would differ", "mean change in spreads"), rows) if rows else "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; texts must be escaped already."""
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    return f'<td class="number">{value:,}</td>' if isinstance(value, int) else f"<td>{value}</td>"
