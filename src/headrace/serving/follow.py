"""Follow the champion in a serving process: load a new version beside the old one, test it, and swap atomically.

A call reads `current` once, so no answer mixes two versions. A bundle that cannot be loaded or fails its test is
refused: the old version continues to serve, and `refused` has the reason. The previous version stays in memory, so a
rollback needs no loading.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.core.errors import HeadraceError, UnavailableError
from headrace.registry.ledger import Ledger
from headrace.registry.ledger_tables import Record

if TYPE_CHECKING:
    from headrace.models.bundle import Bundle

_log = logging.getLogger(__name__)

RETRY_S = 30.0


@dataclass(frozen=True, kw_only=True)
class LoadedVersion:
    """A version that passed its test, and its model."""

    version: str
    bundle: Bundle


@dataclass(frozen=True, kw_only=True)
class RefusedVersion:
    """A champion that could not be loaded.

    Attributes:
        version: The version.
        sequence: Its change in the ledger.
        reason: For clients, so it contains no path; the log has the full error.
        at_s: Instant of the attempt on the monotonic clock, seconds.
    """

    version: str
    sequence: int
    reason: str
    at_s: float


class ChampionFollower:
    """Loads the champion of a ledger; one per serving process. Thread-safe.

    Args:
        ledger: The ledger.
        load: Version -> tested bundle; raises where it cannot be loaded.
        retry_s: Seconds until a refused version is tried again.
        clock: Seconds, monotonic.
        after: Called by the background thread after each `refresh`: what follows the ledger besides.
    """

    def __init__(
        self,
        ledger: Ledger,
        load: Callable[[str], Bundle],
        *,
        retry_s: float = RETRY_S,
        clock: Callable[[], float] = time.monotonic,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._load = load
        self._retry_s = retry_s
        self._clock = clock
        self._after = after
        self._loaded: LoadedVersion | None = None
        self._cache: dict[str, LoadedVersion] = {}
        self._refused: RefusedVersion | None = None
        self._refreshing = threading.Lock()
        self._stop = threading.Event()
        self._looked = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def current(self) -> LoadedVersion:
        """The version that answers now; UnavailableError while there is none."""
        loaded = self._loaded
        if loaded is None:
            raise UnavailableError(
                "no model can answer yet",
                where=self._ledger.problem,
                found=[self._refused.reason] if self._refused else (),
                fix="promote a version first: `headrace run`",
            )
        return loaded

    @property
    def serving(self) -> str | None:
        """The version that answers now, if any."""
        loaded = self._loaded
        return loaded.version if loaded else None

    @property
    def refused(self) -> RefusedVersion | None:
        """The ledger's champion, where it could not be loaded."""
        return self._refused

    def refresh(self) -> bool:
        """Load the ledger's champion if it changed.

        Returns:
            Whether another version serves now. A version that cannot be loaded does not raise.
        """
        with self._refreshing:
            record = self._ledger.champion()
            if record is None or not self._should_load(record):
                return False
            try:
                loaded = self._cache.get(record.version) or LoadedVersion(
                    version=record.version, bundle=self._load(record.version)
                )
            except Exception as error:
                # Whatever is wrong with a new version, the old one must go on serving.
                self._refused = RefusedVersion(
                    version=record.version, sequence=record.sequence, reason=_reason(error), at_s=self._clock()
                )
                _log.error("version %s of %s is refused: %s", record.version, self._ledger.problem, error)
                return False
            previous, self._loaded = self._loaded, loaded
            self._cache = {item.version: item for item in (previous, loaded) if item is not None}
            self._refused = None
            return True

    def start(self, poll_s: float) -> None:
        """Call `refresh` every `poll_s` seconds in a background thread."""
        self._stop.clear()
        self._looked.clear()
        self._thread = threading.Thread(target=self._run, args=(poll_s,), name="champion-follower", daemon=True)
        self._thread.start()

    def wait_for_first_look(self, timeout_s: float) -> bool:
        """Wait until the background thread has read the ledger once and loaded what it names, or failed to.

        A process that answered by a champion while its challenger is still being loaded would answer the challenger's
        entities otherwise than the other processes on its port.
        """
        return self._looked.wait(timeout_s)

    def stop(self) -> None:
        """Stop the background thread and wait for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, poll_s: float) -> None:
        logged = ""
        while not self._stop.is_set():
            try:
                self.refresh()
                self._after()
                logged = ""
            except Exception as error:
                # The ledger may be locked or its disk away for a while; looking again is all there is to do.
                if str(error) != logged:
                    logged = str(error)
                    _log.exception("the ledger of %s could not be read", self._ledger.problem)
            self._looked.set()
            self._stop.wait(poll_s)

    def _should_load(self, record: Record) -> bool:
        if self._loaded is not None and record.version == self._loaded.version:
            self._refused = None
            return False
        refused = self._refused
        if refused is None or refused.sequence != record.sequence:
            return True
        return self._clock() - refused.at_s >= self._retry_s


def _reason(error: Exception) -> str:
    return error.what if isinstance(error, HeadraceError) else f"{type(error).__name__} while loading"
