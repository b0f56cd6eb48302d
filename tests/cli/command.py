"""The `headrace` command as a user types it, in this process."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from headrace.cli import main

#: Commands without state.
STATELESS = ("check", "init")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Exit code and what was said."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """Lines that tell a fault: of `check` on standard output, of all others on standard error."""
        told = [line for line in self.out.splitlines() if line.startswith("fault: ")]
        return told + [line for line in self.err.splitlines() if line.startswith("headrace: ")]


def headrace(*arguments: str, home: Path) -> Outcome:
    """Run a command with its state in `home`."""
    out, err = io.StringIO(), io.StringIO()
    options = () if arguments[0] in STATELESS else ("--home", str(home))
    umask = os.umask(0o077)
    with (
        patch.object(sys, "argv", ["headrace", *arguments, *options]),
        patch.object(sys, "excepthook", sys.excepthook),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        finally:
            os.umask(umask)  # this process is a test's, not the command's
    return Outcome(code=code, out=out.getvalue(), err=err.getvalue())
