"""Parameters that many commands share, each declared once: the problem, the state folder, and `--json`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.core.home import NO_ADDRESS, is_address

_PROBLEM = "name of a built-in problem, or path of a problem file"


def _folder(text: str) -> Path:
    if not text:  # an unset variable of a script, as in --home "$STATE": not the current folder
        raise typer.BadParameter("the name of the folder is empty")
    if is_address(text):
        raise typer.BadParameter(NO_ADDRESS)
    return Path(text)


ProblemArgument = Annotated[str, typer.Argument(help=_PROBLEM)]
HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", parser=_folder, metavar="<path>", help="state folder (default: HEADRACE_HOME, else .headrace)"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]


def parse_instant(text: str | None, option: str) -> int | None:
    """Return an instant in microseconds UTC; None where the option was not given.

    Raises:
        DeclarationError: The text is no instant.
    """
    from headrace.core.clock import to_us
    from headrace.core.errors import DeclarationError

    try:
        return None if text is None else to_us(text)
    except ValueError as error:
        raise DeclarationError(
            f"{text!r} is no instant", where=option, fix="write it as 2013-05-01T12:00:00Z"
        ) from error
