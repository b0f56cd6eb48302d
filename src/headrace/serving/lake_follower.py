"""Keep a home's copy of a shared lake up to date in the background, for processes that read its clock at any time."""

from __future__ import annotations

import logging
import threading

from headrace.core.errors import HeadraceError
from headrace.lake.store import Lake

#: Seconds between looks at the store. A look where nothing is new is one request.
PERIOD_S = 1.0

_log = logging.getLogger(__name__)


class LakeFollower:
    """A thread that brings the copy of a shared lake up to date; it does nothing where only the home has the lake.

    While the store does not answer, the copy stays as it is, and that is logged once.

    Args:
        lake: The lake.
        period_s: Seconds between looks at the store.
    """

    def __init__(self, lake: Lake, period_s: float = PERIOD_S) -> None:
        self._lake = lake
        self._period_s = period_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        if self._lake.is_shared and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lake-follower", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        logged = ""
        while not self._stop.is_set():
            try:
                self._lake.refresh()
                if logged:
                    _log.warning("the lake of %s is followed again", self._lake.problem)
                logged = ""
            except (HeadraceError, OSError) as error:
                if str(error) != logged:
                    logged = str(error)
                    _log.error("the lake of %s cannot be followed: %s", self._lake.problem, error)
            self._stop.wait(self._period_s)
