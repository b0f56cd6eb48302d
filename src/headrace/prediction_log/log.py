"""The prediction log of one problem: in a file of the home (`file`), or in PostgreSQL (`database`).

An answer leaves only once its row is durable. Servers write to a journal (`journal`) in front of the log, a file of
their machine. A process of the server moves its rows to the log, and so does whoever reads the log. So an answer is
as fast with a database as without one, and is given while the database is away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from sqlalchemy import Connection

from headrace.core.errors import UnavailableError
from headrace.core.settings import settings
from headrace.prediction_log.file import PredictionFile
from headrace.prediction_log.journal_segments import Segment, journal_folder, reading_alone, segments
from headrace.prediction_log.packed_features import FeatureNames, PackedFeatures
from headrace.prediction_log.queries import PredictionQueries
from headrace.prediction_log.removal import count_removable, remove_some
from headrace.prediction_log.rows import Prediction, to_row

__all__ = ["Prediction", "PredictionLog"]

#: Records of the journal that are moved in one transaction.
RECORDS_AT_ONCE = 500


class PredictionLog(PredictionQueries):
    """The prediction log of one problem, opened at first use. Safe for many threads and processes.

    Every method raises CorruptError where the log is damaged, and UnavailableError where it cannot be read or written;
    the next use opens it again.

    Args:
        root: Home folder; the file is `<root>/predictions/<problem>.db`.
        problem: Name of the problem.
        database_url: Address of PostgreSQL; None for the setting, empty for the file.
    """

    def __init__(self, root: Path, problem: str, *, database_url: str | None = None) -> None:
        url = settings().database_address if database_url is None else database_url
        self._journal = journal_folder(root, problem)
        self._file = PredictionFile(root, problem)
        self.path = self._file.path
        self._database = None
        if url:
            from headrace.prediction_log.database import PredictionDatabase

            self._database = PredictionDatabase(url, problem)
        self._rows = self._file if self._database is None else self._database

    @property
    def place(self) -> str:
        """The file, or the database and schema, for messages."""
        return self._rows.place

    @property
    def fix(self) -> str:
        """What to do about damaged rows, for errors."""
        return self._rows.fix

    def exists(self) -> bool:
        """Whether a log was begun; a database has always one."""
        return self._database is not None or self.path.exists() or bool(segments(self._journal))

    def append(self, rows: Sequence[Prediction]) -> int:
        """Write predictions in one transaction, durable on return; returns the number of new ones."""
        if not rows:
            return 0
        names = {row.features.names for row in rows if isinstance(row.features, PackedFeatures)}
        return self._rows.insert([to_row(row) for row in rows], names)

    def take_in(self) -> int:
        """Move what servers have written to the prediction journal (`journal`) here; return the number of rows.

        Every method that reads does so first, so that no reader has to know the journal. Nothing is lost where it is
        interrupted: rows are here before the journal forgets them, and the same row again changes nothing.
        """
        if not segments(self._journal):
            return 0
        try:
            with reading_alone(self._journal):
                return sum(self._take_in(segment) for segment in segments(self._journal))
        except OSError as error:
            fix = "see that its disk is there, is writable and is not full"
            raise UnavailableError(
                f"the prediction log cannot be used: {error.strerror}", where=str(self._journal), fix=fix
            ) from error

    def _take_in(self, segment: Segment) -> int:
        try:
            is_finished, moved, records = not segment.is_written, 0, segment.unread()
        except FileNotFoundError:  # a reader on another machine was first: a lock of a folder may hold on one only
            return 0
        for start in range(0, len(records), RECORDS_AT_ONCE):
            part = records[start : start + RECORDS_AT_ONCE]
            names = {item for record in part for item in record.names}
            moved += self._rows.insert([row for record in part for row in record.rows], names)
            segment.record_position(part[-1].end)
        if is_finished:
            segment.remove()
        return moved

    def check_writable(self) -> None:
        """Check that an append would succeed, without adding a row; raises what it would raise."""
        self._rows.check_writable()

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Yield a connection for reading, once what servers have written is here."""
        self.take_in()
        with self._rows.connected() as connection:
            yield connection

    def names_of(self, connection: Connection, digest: bytes) -> FeatureNames:
        """Return the names of packed features by their digest."""
        return self._rows.names_of(connection, digest)

    def count_removable(self, before_us: int, versions: Sequence[str], newest: int) -> tuple[int, int]:
        """Return the number of rows that `remove` would remove, and how many of them were scored."""
        with self.connected() as connection:
            return count_removable(connection, before_us, versions, newest)

    def remove(self, before_us: int, versions: Sequence[str], newest: int) -> int:
        """Remove old rows, some in each transaction; returns how many.

        Args:
            before_us: Rows made, and with a cutoff, before this instant.
            versions: Versions whose newest rows stay.
            newest: How many of each stay.
        """
        removed, some = 0, 1
        while some:
            with self._rows.writing() as connection:
                some = remove_some(connection, before_us, versions, newest)
            removed += some
        return removed

    def vacuum(self) -> None:
        """Give the space of removed rows back to the disk; PostgreSQL does that by itself (autovacuum)."""
        if self._database is None:
            self._file.vacuum()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._file.close()

    def __enter__(self) -> PredictionLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
