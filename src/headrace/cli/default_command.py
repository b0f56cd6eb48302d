"""A group of subcommands with a default one: `headrace alerts flights` is `headrace alerts show flights`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class DefaultCommand(TyperGroup):
    """A group that runs the subcommand `default` where the first argument is none of its subcommands."""

    default = "show"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the default subcommand where none is named; `--help` alone is that of the group."""
        named = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named else [self.default, *args])
