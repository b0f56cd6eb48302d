"""What the store and serving require of online rows: the embedded file (`online_file.rows`) or Redis (`redis_rows`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import pyarrow as pa

from headrace.store.online_file.tables import RowQuery, RowResult, Watermark


class OnlineRows(Protocol):
    """Rows of feature views by entity key, with a watermark a view. The methods are described at `RowStore`."""

    def replace(
        self, watermark: Watermark, join_keys: Sequence[str], columns: Sequence[str], batches: Iterable[pa.Table]
    ) -> int: ...

    def upsert(
        self, view: str, join_keys: Sequence[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> None: ...

    def ensure(self, view: str, join_keys: Sequence[str], columns: Sequence[str], *, grow: bool = False) -> None: ...

    def drop(self, view: str) -> None: ...

    def is_sound(self) -> bool: ...

    def set_aside_if_damaged(self) -> None: ...

    def watermarks(self) -> dict[str, Watermark]: ...

    def version(self) -> tuple[int, int] | None: ...

    def count(self, view: str) -> int: ...

    def checksums_match(self, view: str) -> bool: ...

    def read(self, queries: Sequence[RowQuery]) -> list[RowResult]: ...
