"""The stage `promote`: compare the new version with the champion on the gate window, and promote or refuse it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core import parquet
from headrace.core.errors import ConflictError
from headrace.core.files import write_json
from headrace.evaluate.gate import GateDecision, decide
from headrace.evaluate.metrics import METRICS
from headrace.models.bundle import Bundle
from headrace.pipeline.context import Context
from headrace.pipeline.fence import ledger_of
from headrace.pipeline.production.champion import champion_bundle
from headrace.pipeline.production.feature_matrix import feature_matrix
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.evaluate import EVALUATE, GATE
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.refit import REFIT
from headrace.pipeline.stages.register import REGISTER
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE
from headrace.registry.ledger import Ledger
from headrace.registry.ledger_tables import Record

_log = logging.getLogger(__name__)

#: Gate rows that neither model learnt from: with fewer, no comparison.
_FEWEST = 50

_NOT_COMPARABLE = (
    f"not comparable: fewer than {_FEWEST} rows that neither model learnt from. Wait for newer labels, "
    "or promote by hand with `headrace promote`"
)


@dataclass(frozen=True, kw_only=True)
class PromoteOutput:
    """The verdict on a version.

    Attributes:
        version: of the registered model.
        promoted: whether it is champion.
        reason: why, for people.
        comparable: False where too few rows were left to compare it with the champion.
        in_rollout: whether it is compared with the champion in production now.
        proposals: aliases in MLflow that were moved by hand, for people.
    """

    version: str
    promoted: bool
    reason: str
    comparable: bool = True
    in_rollout: bool = False
    proposals: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    """challenger: whether the version is the challenger now. in_rollout: whether its rollout is open or waits."""

    promoted: bool
    reason: str
    comparable: bool = True
    challenger: bool = False
    in_rollout: bool = False


#: (context, inputs, champion) -> the verdict of the gate; None where the two cannot be compared.
Gate = Callable[[Context, Inputs, Record | None], GateDecision | None]


def _run(context: Context, inputs: Inputs, folder: Path) -> PromoteOutput:
    return promote(context, inputs, folder, gate=compare_on_gate, at_us=inputs[INGEST].output.until_us)


def promote(context: Context, inputs: Inputs, folder: Path, *, gate: Gate, at_us: int) -> PromoteOutput:
    """Promote or refuse a version: write the verdict into the ledger, and mirror it in MLflow.

    Args:
        context: of the run.
        inputs: of the stage.
        folder: receives the gate's record.
        gate: compares the version with the champion.
        at_us: when this happens on the production clock.
    """
    from headrace.registry.aliases import mirror
    from headrace.registry.recovery import recover

    recover(context.root, context.problem.name, context.tracking_uri)
    version = inputs[REGISTER].output.version
    verdict = _judge(context, inputs, folder, version, gate, at_us)
    challenger = version if verdict.challenger else None
    proposals = mirror(
        context.root, context.problem.name, context.tracking_uri, challenger=challenger, token=context.token
    )
    return PromoteOutput(
        version=version,
        promoted=verdict.promoted,
        reason=verdict.reason,
        comparable=verdict.comparable,
        in_rollout=verdict.in_rollout,
        proposals=tuple(str(proposal) for proposal in proposals),
    )


def _judge(context: Context, inputs: Inputs, folder: Path, version: str, gate: Gate, at_us: int) -> _Verdict:
    """Decide on a version, and write the decision into the ledger."""
    from headrace.registry.models import same_bundle

    ledger = ledger_of(context)
    champion, metrics = ledger.champion(), inputs[EVALUATE].output.metrics
    if champion is not None and champion.version == version:
        return _Verdict(promoted=True, reason=champion.reason)
    if champion is not None and same_bundle(context.root, context.problem.name, champion.version, version):
        reason = f"version {champion.version}, deleted in MLflow, registered again"
        ledger.promote(version, champion.version, reason, metrics, at_us)
        return _Verdict(promoted=True, reason=reason)
    if barred := _barred_as(context, ledger, version):
        reason = f"version {barred} was rolled back ({ledger.barred()[barred]}); only a person brings it back"
        return _Verdict(promoted=False, reason=reason)
    decision = gate(context, inputs, champion)
    write_json(folder / "gate.json", decision)
    if decision is not None and decision.promote:
        if refusal := certificate_refusal(context, version):
            ledger.record_metrics(version, metrics)
            return _Verdict(promoted=False, reason=refusal, challenger=True)
        if context.problem.rollout is not None and champion is not None:
            return _begin_rollout(context, version, champion, decision.reason, metrics, at_us)
        ledger.promote(version, champion.version if champion else None, decision.reason, metrics, at_us)
        return _Verdict(promoted=True, reason=decision.reason)
    ledger.record_metrics(version, metrics)  # for whoever promotes it by hand
    if decision is None:
        return _Verdict(promoted=False, reason=_NOT_COMPARABLE, comparable=False, challenger=True)
    return _Verdict(promoted=False, reason=decision.reason, challenger=True)


def _begin_rollout(
    context: Context, version: str, champion: Record, reason: str, metrics: Mapping[str, float], at_us: int
) -> _Verdict:
    """Begin the comparison of a version with the champion in production, in place of its promotion."""
    from headrace.pipeline.production.rollouts import begin_rollout

    try:
        step = begin_rollout(context, version, champion=champion.version, reason=reason, at_us=at_us, metrics=metrics)
    except ConflictError as error:
        return _Verdict(promoted=False, reason=error.what)
    if step.phase == "refused":
        return _Verdict(promoted=False, reason=step.reason)
    return _Verdict(promoted=False, reason=f"{reason}; its rollout: {step.phase}", challenger=True, in_rollout=True)


def certificate_refusal(context: Context, version: str) -> str:
    """Return why a version that needs a certificate gets none; empty where it passes, or needs none."""
    if not context.problem.certificate:
        return ""
    from headrace.pipeline.production.certificate import make_certificate

    reason = make_certificate(context, version).certificate.reason
    return f"its certificate does not pass: {reason}" if reason else ""


def _barred_as(context: Context, ledger: Ledger, version: str) -> str | None:
    """The barred version that this one is: itself, or one of the same bundle that was deleted in MLflow since."""
    from headrace.registry.models import same_bundle

    same = (one for one in ledger.barred() if same_bundle(context.root, context.problem.name, one, version))
    return version if version in ledger.barred() else next(same, None)


def compare_on_gate(context: Context, inputs: Inputs, champion: Record | None) -> GateDecision | None:
    """Challenger (fitted before the gate window) against the champion, or the first against a trivial baseline.

    None: too few rows are left that neither of them learnt from.
    """
    gate = parquet.read(inputs[EVALUATE].path(GATE))
    incumbent, structural = None, False
    if champion is not None:
        bundle = champion_bundle(context, champion)
        recipe = (inputs[REFIT].output.family, inputs[SELECT].output.service)
        structural = recipe != (bundle.family, bundle.service)
        incumbent = _champion_predictions(context, inputs, bundle, gate)
        fair = np.isfinite(incumbent)
        if fair.sum() < _FEWEST:
            return None
        gate, incumbent = gate.filter(pa.array(fair)), incumbent[fair]
    return decide(
        METRICS[context.problem.metric],
        gate["label"].to_numpy(),
        gate["prediction"].to_numpy(),
        incumbent,
        gate["cutoff"].to_numpy(),
        margin=context.problem.margin,
        baseline=inputs[EVALUATE].output.baseline,
        structural=structural,
        censored=inputs[SYNTHESISE].output.censored,
        seed=context.seed,
    )


def _champion_predictions(context: Context, inputs: Inputs, bundle: Bundle, gate: pa.Table) -> NDArray[np.float64]:
    """The champion on the challenger's gate rows [n], NaN where it would only repeat what it was taught.

    Rows after its training are predicted by the very bundle. For older rows the refit has seen the answers, so what
    stands there is what its recipe predicted in its own gate, fitted before that window as the challenger was.
    """
    spine = parquet.read(inputs[SYNTHESISE].path(SPINE)).take(gate["row"])
    unseen = spine["cutoff"].to_numpy() >= int(bundle.windows["trained_until_us"])
    known = bundle.read_gate()
    predictions = np.array([known.get(key, np.nan) for key in gate["key"].to_pylist()], dtype=np.float64)
    if unseen.any():
        newer = spine.filter(pa.array(unseen))
        predictions[unseen] = bundle.predict(feature_matrix(context, bundle.service, bundle.definitions, newer))
    return predictions


def _effects_exist(context: Context, output: PromoteOutput) -> bool:
    """The ledger still knows the verdict: champion now, or refused, replaced or rolled back since."""
    from headrace.registry.aliases import is_mirrored, mirror
    from headrace.registry.recovery import recover

    name = context.problem.name
    # A lost ledger, and a crash between ledger and alias, are mended here.
    if not is_mirrored(context.root, name, context.tracking_uri):
        recover(context.root, name, context.tracking_uri)
        for proposal in mirror(context.root, name, context.tracking_uri):
            _log.warning("%s: %s", name, proposal)
    ledger = ledger_of(context)
    ledger.write_audit_lines()  # those that a run did not write which was killed after its promotion
    champion = ledger.champion()
    if not output.promoted:
        return champion is not None
    return champion is not None and (champion.version == output.version or output.version in ledger.versions())


PROMOTE = Stage(
    name="promote",
    output=PromoteOutput,
    run=_run,
    needs=(REGISTER, EVALUATE, INGEST, SYNTHESISE, SELECT, REFIT),
    parameters=lambda context: {
        "margin": context.problem.margin,
        **({"certificate": True} if context.problem.certificate else {}),
        **({"rollout": True} if context.problem.rollout is not None else {}),
    },
    effects_exist=_effects_exist,
)
