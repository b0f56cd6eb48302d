"""Begin the rollout of a version that passed the gate: load and query it, then write its first step into the ledger."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.core.errors import HeadraceError
from headrace.lake.store import Lake
from headrace.models.bundle import Bundle
from headrace.pipeline.context import Context
from headrace.pipeline.fence import ledger_of
from headrace.registry.rollout_tables import RolloutStep
from headrace.registry.rollouts import Rollouts
from headrace.schema import Problem, Rollout
from headrace.serving.loading import load_version
from headrace.store.online import OnlineStore


def rollout_rules(problem: Problem) -> Rollout:
    """Return the rules of a problem's rollouts: the declared ones, or the defaults for one that is begun by hand."""
    return problem.rollout or Rollout()


def begin_rollout(
    context: Context,
    version: str,
    *,
    champion: str,
    reason: str,
    at_us: int,
    metrics: Mapping[str, float] | None = None,
    force: bool = False,
) -> RolloutStep:
    """Begin the rollout of a version, or refuse it where it cannot be served.

    A begin that was killed can be repeated: the ledger has the first step, or nothing.

    Args:
        context: of the problem.
        version: the challenger.
        champion: the champion that it was compared with.
        reason: for the ledger.
        at_us: now on the production clock.
        metrics: of the version.
        force: begin although it is barred or in its cooldown; a person's decision.

    Returns:
        The first step; its phase is "refused" where the version did not pass its test, with the reason.

    Raises:
        ConflictError: the champion is another version, or the version is barred or in its cooldown.
    """
    rollouts = Rollouts(ledger_of(context))
    refusal = "" if rollouts.is_open(version) else load_refusal(context, version)
    if refusal:
        return rollouts.refuse(version, champion=champion, reason=refusal, at_us=at_us)
    return rollouts.begin(
        version,
        champion=champion,
        reason=reason,
        at_us=at_us,
        metrics=metrics,
        cooldown_us=rollout_rules(context.problem).cooldown_us,
        force=force,
    )


def load_refusal(context: Context, version: str) -> str:
    """Load a version and query it as a serving process does; return why it cannot serve, empty where it can."""
    try:
        load_for_serving(context, version)
    except HeadraceError as error:
        return f"version {version} cannot be served: {error.what}"
    return ""


def load_for_serving(context: Context, version: str) -> Bundle:
    """Load and query a version; raises as `headrace.serving.loading.load_version`."""
    now_us = Lake(context.root, context.problem.name).clock() or 0
    online = OnlineStore(context.root, context.problem)
    return load_version(context.root, context.problem, version, context.tracking_uri, online, now_us)
