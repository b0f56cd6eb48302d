"""`python -m headrace.prediction_log.journal_drain ROOT PROBLEM...`: move a server's answers to the prediction log.

A server starts it as a process of its own at a low priority, so that neither Python's lock nor the database delays an
answer. It ends when its standard input does, that is with the server. Without it nothing is lost: whoever reads the
prediction log moves the rows then.
"""

from __future__ import annotations

import logging
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from headrace.core.errors import HeadraceError
from headrace.prediction_log.log import PredictionLog

_log = logging.getLogger(__name__)

#: Seconds between two looks at the journal.
PAUSE_S = 1.0
#: Below that of the server, and enough that the journal does not grow for ever where both cores are busy.
_NICENESS = 10
_END_S = 5.0


@contextmanager
def draining(root: Path, problems: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process while the block runs. It may take longer than `_END_S` to end where the cores are busy."""
    command = [sys.executable, "-m", __name__, str(root), *problems]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):  # it ends by itself after what it moves now
            process.wait(_END_S)


def drain(logs: Sequence[PredictionLog], pause_s: float = PAUSE_S) -> None:
    """Move rows of journals to their logs until standard input ends."""
    reported, is_ending = "", False
    while True:
        for log in logs:
            try:
                log.take_in()
                reported = ""
            except HeadraceError as error:  # the rows stay in the journal, for the next attempt
                if str(error) != reported:
                    reported = str(error)
                    _log.error("%s", error)
        if is_ending:
            return
        readable, _, _ = select.select([sys.stdin], [], [], pause_s)
        is_ending = bool(readable) and not os.read(sys.stdin.fileno(), 1)  # once more, for what came last


def main(arguments: Sequence[str]) -> None:
    """Drain the journals of problems below a home folder."""
    root, *problems = arguments
    os.nice(_NICENESS)
    drain([PredictionLog(Path(root), problem) for problem in problems])


if __name__ == "__main__":
    main(sys.argv[1:])
