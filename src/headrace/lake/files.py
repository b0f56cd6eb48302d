"""Reading files, by the name the rooms above know it. It lives one room below, where problems name their sources."""

from __future__ import annotations

from headrace.problems.files import FileSource, as_source, read_source

__all__ = ["FileSource", "as_source", "read_source"]
