"""Run a command of Headrace with the safeguards of all commands: private files, masked secrets, short errors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from headrace.core.errors import HeadraceError
from headrace.core.home import owner_only
from headrace.core.redact import print_redacted


def run_command(command: Callable[[], object]) -> None:
    """Run a command-line application; an expected error ends the process with one line on standard error.

    Expected are Headrace's own errors, and those of the machine: a full disk, a read-only folder. All others keep their
    traceback, with secrets masked.

    Args:
        command: The application, which reads `sys.argv` itself.
    """
    owner_only()
    sys.excepthook = print_redacted
    try:
        command()
    except HeadraceError as error:
        _exit(error)
    except Exception as error:
        from headrace.core.machine import machine_error

        refused = machine_error(error)
        if refused is None:
            raise
        _exit(refused)


def _exit(error: HeadraceError) -> NoReturn:
    sys.stderr.write(f"headrace: {error}\n")
    sys.exit(error.exit_code)
