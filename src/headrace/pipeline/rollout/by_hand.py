"""Steps of a rollout by a person: begin one, take its next step now, promote the challenger, roll it back."""

from __future__ import annotations

from headrace.core.errors import NotFoundError, UnavailableError
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.operations.release import publish_features
from headrace.pipeline.production.rollouts import begin_rollout, rollout_rules
from headrace.pipeline.rollout.decision import RolloutDecision
from headrace.pipeline.rollout.evaluate import RolloutReport, carry_out, rollout_state
from headrace.pipeline.rollout.reconcile import reconcile_rollouts
from headrace.registry.ledger import Ledger
from headrace.registry.rollout_tables import RolloutStep
from headrace.registry.rollouts import Rollouts


def begin_by_hand(context: Context, version: str, reason: str, *, now_us: int, force: bool = False) -> RolloutReport:
    """Begin the rollout of a registered version, whatever the gate says.

    Args:
        context: of the problem.
        version: the challenger.
        reason: for the ledger.
        now_us: wall clock, for alerts.
        force: also where the version is barred or in its cooldown.

    Raises:
        NotFoundError: MLflow has no such version, or there is no champion.
        ConflictError: the version is champion, barred, or in its cooldown.
    """
    from headrace.registry.models import version_exists
    from headrace.registry.recovery import recover

    name = context.problem.name
    if not version_exists(name, version, context.tracking_uri):
        raise NotFoundError(f"no registered version {version}", where=name, fix="look at the MLflow registry")
    recover(context.root, name, context.tracking_uri)
    champion = Ledger(context.root, name).champion()
    if champion is None:
        raise NotFoundError("there is no champion yet", where=name, fix="run `headrace run` first")
    publish_features(context, version)
    begin_rollout(context, version, champion=champion.version, reason=reason, at_us=_clock(context), force=force)
    return _after(context, now_us)


def next_step(context: Context, reason: str, *, now_us: int) -> RolloutReport:
    """Take the next step now: the next share of the entities, or the promotion after the last one.

    Raises:
        NotFoundError: no rollout is under way.
    """
    step = _current(context)
    share = next((one for one in rollout_rules(context.problem).shares if one > step.share), None)
    if share is None:
        return promote_now(context, reason, now_us=now_us)
    carry_out(context, step, RolloutDecision(action="advance", reason=reason, share=share))
    return _after(context, now_us)


def promote_now(context: Context, reason: str, *, now_us: int) -> RolloutReport:
    """Make the challenger the champion now.

    Raises:
        NotFoundError: no rollout is under way.
        UnavailableError: the challenger did not pass its loading test, and was rolled back.
    """
    step = _current(context)
    carry_out(context, step, RolloutDecision(action="promote", reason=reason))
    report = _after(context, now_us)
    if report.step is not None and report.step.phase != "promoted":
        raise UnavailableError(report.step.reason, where=context.problem.name, fix="the champion stays")
    return report


def roll_back_now(context: Context, reason: str, *, now_us: int) -> RolloutReport:
    """End the rollout under way; its version is barred from automatic promotion.

    Raises:
        NotFoundError: no rollout is under way.
    """
    carry_out(context, _current(context), RolloutDecision(action="roll back", reason=reason))
    return _after(context, now_us)


def _current(context: Context) -> RolloutStep:
    return Rollouts(Ledger(context.root, context.problem.name)).require_current()


def _after(context: Context, now_us: int) -> RolloutReport:
    reconcile_rollouts(context, now_us=now_us)
    return rollout_state(context)


def _clock(context: Context) -> int:
    return Lake(context.root, context.problem.name).clock() or 0
