"""The tables and columns that each feature is computed from, for the common origin of findings and related features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Grouped, RowColumn, Transform


def feature_sources(definitions: Iterable[Definition], spine_table: str) -> dict[str, frozenset[str]]:
    """Return slug -> sources of each feature: tables (`planes`) and columns (`planes.seats`).

    Args:
        definitions: The features.
        spine_table: The table whose columns come with a request.
    """
    return {item.slug: frozenset(_sources(item, spine_table)) for item in definitions}


def columns_read(definitions: Iterable[Definition], spine_table: str) -> dict[str, frozenset[str]]:
    """Return slug -> columns (`planes.seats`) that each feature is computed from."""
    sources = feature_sources(definitions, spine_table)
    return {slug: frozenset(name for name in names if "." in name) for slug, names in sources.items()}


def _sources(item: Definition, table: str) -> Iterator[str]:
    """Yield the sources of a definition relative to a row of a table."""
    if isinstance(item, RowColumn):
        yield f"{table}.{item.column}"
    elif isinstance(item, Transform):
        for part in item.inputs:
            yield from _sources(part, table)
    elif isinstance(item, Grouped):
        yield item.table
        yield from _sources(item.value, item.table)
    else:
        yield item.table
        if item.value is not None:
            yield from _sources(item.value, item.table)
        elif item.column:
            yield f"{item.table}.{item.column}"
        if isinstance(item, Aggregate) and item.where is not None:
            yield from _sources(item.where.on, item.table)
        assert isinstance(item, Aggregate | Direct)
