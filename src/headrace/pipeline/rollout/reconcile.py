"""Make what follows from the journal of rollouts true outside the ledger, after every step and after a crash.

The ledger alone decides. From it follow: MLflow's aliases and tags, an alert about every rollout that ended, and the
begin of a version that waits. Each is made where it is missing, so this may be repeated and interrupted anywhere; a
flow does it twice a minute.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.errors import ConflictError
from headrace.core.fingerprint import fingerprint
from headrace.lake.store import Lake
from headrace.monitor.outbox.message import Alert, Level
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.policy.decision import Decision
from headrace.pipeline.context import Context
from headrace.pipeline.production.rollouts import load_refusal
from headrace.registry.ledger import Ledger
from headrace.registry.rollout_tables import RolloutStep
from headrace.registry.rollouts import Rollouts

#: Ends that people are told about -> headline and severity of the alert.
_ENDS: dict[str, tuple[str, Level]] = {
    "promoted": ("version {version} is champion after its rollout", "success"),
    "rolled back": ("version {version} was rolled back, version {champion} stays champion", "failure"),
    "refused": ("version {version} was refused, version {champion} stays champion", "failure"),
    "undecided": ("the rollout of version {version} ended undecided, version {champion} stays champion", "warning"),
}


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """What was missing.

    Attributes:
        mirrored: Whether MLflow was brought up to the ledger.
        announced: Alerts that were added.
        begun: The version whose turn it was; None where none waited.
    """

    mirrored: bool = False
    announced: int = 0
    begun: str | None = None

    @property
    def nothing(self) -> bool:
        """Whether no alert and no begin was missing; whether MLflow was behind is not known without its server."""
        return not (self.announced or self.begun)


def reconcile_rollouts(context: Context, *, now_us: int) -> Reconciliation:
    """Make everything true that follows from the journal. Idempotent.

    Args:
        context: of the problem.
        now_us: wall clock, for the outbox.
    """
    rollouts = Rollouts(Ledger(context.root, context.problem.name))
    history = rollouts.history()
    if not history:
        return Reconciliation()
    begun = _begin_waiting(context, rollouts)
    began = {step.id: step.at_us for step in reversed(history)}
    announced = sum(_announce(context, step, began[step.id], now_us) for step in history)
    return Reconciliation(mirrored=_mirror(context), announced=announced, begun=begun)


def _begin_waiting(context: Context, rollouts: Rollouts) -> str | None:
    """Begin the newest rollout that waits, where none is under way; older ones are superseded by it."""
    at_us, begun = Lake(context.root, context.problem.name).clock() or 0, None
    try:
        if rollouts.current() is None:
            begun = _begin_newest(context, rollouts, at_us)
        _supersede_older(rollouts, at_us)
    except ConflictError:  # another process took a step meanwhile
        return begun
    return begun


def _begin_newest(context: Context, rollouts: Rollouts, at_us: int) -> str | None:
    waiting = rollouts.waiting()
    if waiting is None:
        return None
    if refusal := load_refusal(context, waiting.version):
        rollouts.advance(waiting, "refused", reason=refusal, at_us=at_us)
        return None
    rollouts.advance(waiting, "shadow", reason=waiting.reason, at_us=at_us)
    return waiting.version


def _supersede_older(rollouts: Rollouts, at_us: int) -> None:
    """End rollouts that wait since before the one under way did, also where it was begun by a process that was killed
    before it came to this."""
    current = rollouts.current()
    if current is None:
        return
    first = rollouts.steps(current.id)[0].sequence
    for older in rollouts.all_waiting():
        if older.sequence < first:
            rollouts.advance(older, "superseded", reason=f"version {current.version} is newer", at_us=at_us)


def _mirror(context: Context) -> bool:
    from headrace.registry.aliases import is_mirrored, mirror

    name = context.problem.name
    if is_mirrored(context.root, name, context.tracking_uri):
        return False
    mirror(context.root, name, context.tracking_uri)
    return True


def _announce(context: Context, step: RolloutStep, began_us: int, now_us: int) -> bool:
    """Add the alert about a step that ended a rollout, unless it is there."""
    if step.phase not in _ENDS:
        return False
    name, outbox = context.problem.name, Outbox(context.root, context.problem.name)
    identity = fingerprint([name, "rollout", step.id, step.sequence])[:16]
    if any(entry.decision.id == identity for entry in outbox.history()):
        return False
    text, level = _ENDS[step.phase]
    headline = text.format(version=step.version, champion=step.champion)
    decision = Decision(
        id=identity, problem=name, kind="alert", reason=f"{headline}: {step.reason}",
        start_us=min(began_us, step.at_us - 1), end_us=step.at_us, champion=step.champion, measured=False,
        topics=(f"rollout:{step.phase}",),
    )  # fmt: skip
    alert = Alert(
        id=f"{identity}:rollout", decision_id=identity, title=f"Headrace {name}: {headline}",
        body=f"{step.reason}.\n\nRollout {step.id}. `headrace rollout status` shows its steps.", level=level,
        at_us=step.at_us,
    )  # fmt: skip
    outbox.add(decision, now_us=now_us, alert=alert)
    return True
