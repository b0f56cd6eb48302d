"""Keep a home's copy of a shared lake up to date in the background, for servers that read its clock at any time.

A request reads the copy (`local_copy`) and never waits for the store.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from headrace.core.errors import HeadraceError
from headrace.lake.store import Lake

#: Seconds between looks at the store. A look where nothing is new is one request.
PERIOD_S = 1.0
#: Seconds that a server waits for the first look, and for the thread to end.
_FIRST_LOOK_S, _END_S = 30.0, 5.0

_log = logging.getLogger(__name__)


def local_copy(root: Path, problem: str) -> Lake:
    """Open a lake as the home has it. Where it is shared, a `LakeFollower` of this process keeps it up to date."""
    return Lake(root, problem, store="")


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
        self._looked = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, and wait until it has looked at the store once."""
        if self._lake.is_shared and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lake-follower", daemon=True)
            self._thread.start()
            self._looked.wait(_FIRST_LOOK_S)

    def stop(self) -> None:
        """End the thread; a request to a store that does not answer is not waited for."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_END_S)

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
            self._looked.set()
            self._stop.wait(self._period_s)
