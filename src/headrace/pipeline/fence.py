"""The right of a run to write: taken when it begins, and checked before it commits anything.

A run of a deployment takes the token of its work (`registry.fencing`): Prefect starts the next run only when it holds
the one before for ended, though its machine may only have been cut off. The earlier run then ends with an error at its
next check. Runs that are started by hand have no token: locks let them do the work once.
"""

from __future__ import annotations

from dataclasses import replace

from headrace.pipeline.context import Context
from headrace.registry.fencing import require_current, take_token
from headrace.registry.ledger import Ledger

#: The work of the main job's deployment.
PIPELINE = "pipeline"


def fenced(context: Context, work: str, holder: str, number: int | None = None) -> Context:
    """Return the context of a run that ends the right to write of all earlier runs of the same work.

    Args:
        context: of the problem.
        work: what the run does.
        holder: the run, for messages.
        number: grows with each run of the work, where something else counts them already.

    Raises:
        ConflictError: a later run has begun.
    """
    return replace(context, token=take_token(Ledger(context.root, context.problem.name), work, holder, number))


def require_token(context: Context) -> None:
    """Check that no other run has replaced this one; raises ConflictError."""
    if context.token is not None:
        with Ledger(context.root, context.problem.name).read() as connection:
            require_current(connection, context.token)


def ledger_of(context: Context) -> Ledger:
    """Return the ledger, which refuses to be changed by a run that was replaced."""
    return Ledger(context.root, context.problem.name, token=context.token)
