"""The stage `promote`: compare the new version with the champion on the gate window and promote or refuse it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core import parquet
from headrace.core.files import write_json
from headrace.evaluate.gate import GateDecision, decide
from headrace.evaluate.metrics import METRICS
from headrace.models.bundle import Bundle
from headrace.pipeline.context import Context
from headrace.pipeline.production.champion import champion_bundle
from headrace.pipeline.production.feature_matrix import finished_matrix
from headrace.pipeline.stage import Needs, Stage
from headrace.registry.ledger import Ledger
from headrace.registry.ledger_tables import Record

_log = logging.getLogger(__name__)


#: Gate rows that neither model learnt from: with fewer, no comparison.
_FEWEST = 50


_NOT_COMPARABLE = (
    f"not comparable: fewer than {_FEWEST} rows that neither model learnt from. Wait for newer labels, "
    "or promote by hand with `headrace promote`"
)


def _promote(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    from headrace.registry.aliases import mirror
    from headrace.registry.models import same_bundle
    from headrace.registry.recovery import recover

    recover(context.root, context.problem.name, context.tracking_uri)
    ledger = Ledger(context.root, context.problem.name)
    version = needs["register"].facts["version"]
    champion = ledger.champion()
    at_us = needs["ingest"].facts["until_us"]
    challenger: str | None = None
    comparable = True
    if champion is not None and champion.version == version:
        decision_facts: dict[str, Any] = {"promoted": True, "reason": champion.reason}
    elif champion is not None and same_bundle(context.root, context.problem.name, champion.version, version):
        reason = f"version {champion.version}, deleted in MLflow, registered again"
        ledger.promote(version, champion.version, reason, needs["evaluate"].facts["metrics"], at_us)
        decision_facts = {"promoted": True, "reason": reason}
    elif barred := _barred_as(context, ledger, version):
        reason = f"version {barred} was rolled back ({ledger.barred()[barred]}); only a person brings it back"
        decision_facts = {"promoted": False, "reason": reason}
    else:
        decision = _gate(context, needs, champion)
        write_json(folder / "gate.json", decision)
        comparable = decision is not None
        promoted = decision is not None and decision.promote
        reason = decision.reason if decision is not None else _NOT_COMPARABLE
        if promoted:
            ledger.promote(
                version,
                expected_version=champion.version if champion else None,
                reason=reason,
                metrics=needs["evaluate"].facts["metrics"],
                at_us=at_us,
            )
        else:
            challenger = version
            ledger.record_metrics(version, needs["evaluate"].facts["metrics"])  # for whoever promotes it by hand
        decision_facts = {"promoted": promoted, "reason": reason}
    proposals = mirror(context.root, context.problem.name, context.tracking_uri, challenger=challenger)
    told = {"comparable": comparable, "proposals": [str(proposal) for proposal in proposals]}
    return {"version": version, **decision_facts, **told}


def _barred_as(context: Context, ledger: Ledger, version: str) -> str | None:
    """The barred version that this one is: itself, or one of the same bundle that was deleted in MLflow since."""
    from headrace.registry.models import same_bundle

    same = (one for one in ledger.barred() if same_bundle(context.root, context.problem.name, one, version))
    return version if version in ledger.barred() else next(same, None)


def _gate(context: Context, needs: Needs, champion: Record | None) -> GateDecision | None:
    """Challenger (fitted before the gate window) against the champion, or the first against a trivial baseline.

    None: too few rows are left that neither of them learnt from.
    """
    gate = parquet.read(needs["evaluate"].path("gate.parquet"))
    incumbent, structural = None, False
    if champion is not None:
        bundle = champion_bundle(context, champion)
        structural = (needs["refit"].facts["family"], needs["select"].facts["service"]) != (
            bundle.family,
            bundle.service,
        )
        incumbent = _champion_predictions(context, needs, bundle, gate)
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
        baseline=needs["evaluate"].facts["baseline"],
        structural=structural,
        censored=needs["synthesise"].facts["censored"],
        seed=context.seed,
    )


def _champion_predictions(context: Context, needs: Needs, bundle: Bundle, gate: pa.Table) -> NDArray[np.float64]:
    """The champion on the challenger's gate rows [n], NaN where it would only repeat what it was taught.

    Rows after its training are predicted by the very bundle. For older rows the refit has seen the answers, so what
    stands there is what its recipe predicted in its own gate, fitted before that window as the challenger was.
    """
    spine = parquet.read(needs["synthesise"].path("spine.parquet")).take(gate["row"])
    unseen = spine["cutoff"].to_numpy() >= int(bundle.windows["trained_until_us"])
    known = bundle.read_gate()
    predictions = np.array([known.get(key, np.nan) for key in gate["key"].to_pylist()], dtype=np.float64)
    if unseen.any():
        newer = spine.filter(pa.array(unseen))
        predictions[unseen] = bundle.predict(finished_matrix(context, bundle.service, bundle.definitions, newer))
    return predictions


def _promoted(context: Context, facts: Mapping[str, Any]) -> bool:
    """The ledger still knows the verdict: champion now, or refused, replaced or rolled back since."""
    from headrace.registry.aliases import is_mirrored, mirror
    from headrace.registry.recovery import recover

    name = context.problem.name
    # A lost ledger, and a crash between ledger and alias, are mended here.
    if not is_mirrored(context.root, name, context.tracking_uri):
        recover(context.root, name, context.tracking_uri)
        for proposal in mirror(context.root, name, context.tracking_uri):
            _log.warning("%s: %s", name, proposal)
    ledger = Ledger(context.root, name)
    champion = ledger.champion()
    if not facts["promoted"]:
        return champion is not None
    return champion is not None and (champion.version == facts["version"] or facts["version"] in ledger.versions())


PROMOTE = Stage(
    name="promote",
    run=_promote,
    needs=("register", "evaluate", "ingest", "synthesise", "select", "refit"),
    code=(
        "headrace.evaluate.gate",
        "headrace.registry.ledger",
        "headrace.registry.aliases",
        "headrace.registry.recovery",
    ),
    parameters=lambda context: {"margin": context.problem.margin},
    standing=_promoted,
)
