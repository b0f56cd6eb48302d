"""What serving derives from a loaded version, derived once: for the champion and a challenger beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from headrace.schema import Problem
from headrace.serving.answers import Online, Version
from headrace.serving.follow import LoadedVersion
from headrace.store.published import KeyType


class Versions:
    """Derives versions of one problem. Thread-safe: what two threads derive at once is the same.

    Args:
        problem: The problem.
        online: Stored features.
        key_types: Returns the types of the join keys.
        table_columns: Returns the columns of the spine's table, None where they are not known.
    """

    def __init__(
        self,
        problem: Problem,
        online: Online,
        *,
        key_types: Callable[[], Mapping[str, KeyType]] = dict,
        table_columns: Callable[[], frozenset[str] | None] = lambda: None,
    ) -> None:
        self._problem = problem
        self._online = online
        self._key_types = key_types
        self._table_columns = table_columns
        self._latest: tuple[Version, ...] = ()

    def of(self, loaded: LoadedVersion) -> Version:
        """Return what is derived from a version; of the last two versions it is remembered."""
        key_types = self._key_types()
        for known in self._latest:
            if known.loaded is loaded and known.key_types == key_types:
                return known
        found = Version.for_problem(self._problem, loaded, key_types, self._table_columns(), self._online)
        self._latest = (found, *(one for one in self._latest if one.loaded is not loaded))[:2]
        return found
