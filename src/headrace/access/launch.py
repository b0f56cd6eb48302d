"""Run a module with its secrets from files: `python -P -m headrace.access.launch MODULE ARGUMENTS`.

MLflow and Prefect read their secrets from variables. For their own commands, this sets the variables of this process
from the files that `NAME_FILE` names (`core.secret_files`), and then runs them in it.
"""

from __future__ import annotations

import runpy
import sys

from headrace.core.entry import run_command
from headrace.core.errors import DeclarationError
from headrace.core.settings import settings


def launch() -> None:
    """Run the module that the first argument names, with the arguments after it.

    Raises:
        DeclarationError: No module is named, or a secret cannot be read.
    """
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        raise DeclarationError("no module is named", where="headrace.access.launch", fix="name one, such as prefect")
    settings()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run_command(launch)
