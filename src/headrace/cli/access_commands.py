"""The commands for access: API keys, the pair of keys that signs bundles, and the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.parameters import HomeOption, JsonOption

_keys = typer.Typer(name="keys", no_args_is_help=True, help="Make, list, rotate and revoke API keys.")
_audit_log = typer.Typer(name="audit-log", no_args_is_help=True, help="Show and verify the audit log.")

_Name = Annotated[str, typer.Argument(help="name of the key: who uses it")]
_Expires = Annotated[str | None, typer.Option("--expires", help="period after which it expires, such as 90d or 12h")]


def register(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.add_typer(_keys)
    app.add_typer(_audit_log)


@_keys.command(name="create")
def create_key(
    name: _Name,
    scopes: Annotated[
        str, typer.Option(help="predict, explain, events, read, metrics, operate; a comma between two")
    ] = "predict",
    problems: Annotated[str | None, typer.Option(help="only these problems; a comma between two")] = None,
    expires: _Expires = None,
    rate: Annotated[str | None, typer.Option(help="most requests, such as 100/s (default: HEADRACE_KEY_RATE)")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make an API key, and print it: it is shown once, and stored nowhere."""
    from headrace.cli.keys import create

    create(name, home, scopes=scopes, problems=problems, expires=expires, rate=rate, as_json=as_json)


@_keys.command(name="list")
def list_keys(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List the API keys: names, scopes, limits and states, but not the keys."""
    from headrace.cli.keys import show

    show(home, as_json=as_json)


@_keys.command(name="rotate")
def rotate_key(
    name: _Name,
    overlap: Annotated[str, typer.Option(help="period for which the old key stays valid")] = "24h",
    expires: _Expires = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make a new key of the same scopes and limits, and print it; the old one expires after the overlap."""
    from headrace.cli.keys import rotate

    rotate(name, home, overlap=overlap, expires=expires, as_json=as_json)


@_keys.command(name="revoke")
def revoke_key(
    reference: Annotated[str, typer.Argument(help="name, for all its keys, or the id of one")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Revoke API keys. Running servers refuse them within a second."""
    from headrace.cli.keys import revoke

    revoke(reference, home, as_json=as_json)


@_keys.command(name="signing")
def make_signing_keys(
    folder: Annotated[Path, typer.Argument(help="folder for signing.pem and verification.pem")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make the pair of keys that signs bundles and verifies them. HEADRACE_SIGNING_PASSWORD encrypts the first."""
    from headrace.cli.keys import make_pair

    make_pair(folder, home, as_json=as_json)


@_audit_log.command(name="show")
def show_log(
    last: Annotated[int, typer.Option(min=1, help="number of lines")] = 20,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Show the last lines of the audit log."""
    from headrace.cli.audit_log import show

    show(home, last=last, as_json=as_json)


@_audit_log.command(name="verify")
def verify_log(
    head: Annotated[str | None, typer.Option(help="hash that an earlier `verify` printed, which must be there")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Check that no line of the audit log was changed, removed or inserted; print the hash of the last one."""
    from headrace.cli.audit_log import verify

    verify(home, head=head, as_json=as_json)
