"""Recover a lost or older ledger from its copy in MLflow; refuse the copy of another installation.

The copy is in tags of the registered model, not of its versions, because a deleted version loses its tags.

    headrace.ledger              which ledger it is (`Ledger.identity`)
    headrace.change.<sequence>   one change of champion, as JSON: action, version, previous, reason, at_us

and on each version `headrace.metrics`, its metrics in the ledger. `registry.aliases.mirror` writes them after the
ledger, so the copy is never ahead of its ledger. The changes determine which versions are barred.

    ledger        copy            what is done
    ahead, same   behind, none    nothing: the next mirroring writes what is missing
    none, behind  ahead           the missing changes are taken from the copy, and that is logged
    none          none, but a     ConflictError: versions were promoted, and their history is unknown
                  champion is there
    another       -               ConflictError: of another installation, or the two went different ways
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.errors import ConflictError
from headrace.registry.client import STATUS, absent, connect, quoted, translated
from headrace.registry.ledger import Ledger
from headrace.registry.ledger_tables import Record

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_log = logging.getLogger(__name__)

IDENTITY = "headrace.ledger"
CHANGE = "headrace.change."
METRICS = "headrace.metrics"


@dataclass(frozen=True, kw_only=True)
class LedgerCopy:
    """The copy of a ledger in MLflow.

    Attributes:
        identity: Id of the ledger.
        changes: Sequence -> change, without metrics.
        aliases: Alias -> version.
    """

    identity: str | None = None
    changes: Mapping[int, Record] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)


def ledger_tags(ledger: Ledger) -> dict[str, str]:
    """Return the copy of a ledger as tags of its registered model; empty before the first change."""
    identity = ledger.identity()
    if identity is None:
        return {}
    return {IDENTITY: identity, **{f"{CHANGE}{record.sequence:06}": _text(record) for record in ledger.history()}}


def metrics_tag(metrics: Mapping[str, float]) -> str:
    """Return a version's metrics as the value of its tag METRICS."""
    return json.dumps(metrics, sort_keys=True)


def recover(root: Path, problem: str, tracking_uri: str, *, manual: bool = False) -> None:
    """Bring a ledger that was lost, or is a restored older one, up to what MLflow knows, and say so in the log.

    Lines of the audit log that a killed process did not write are written too.

    by_hand: a person is about to say who is champion, so it is no matter that MLflow does not. Raises ConflictError
    where ledger and MLflow contradict each other, or MLflow does not say enough.
    """
    ledger = Ledger(root, problem)
    if ledger.exists():
        ledger.write_audit_lines()
    client = connect(tracking_uri)
    copy = _read_copy(client, problem)
    if copy is None:  # no such registered model: nothing was registered, or MLflow was emptied
        return
    local = {record.sequence: record for record in ledger.history()}
    if not copy.changes:
        if not local and not manual:
            _require_undecided(client, problem, copy)
        return
    _require_same_history(ledger, local, copy)
    missing = [record for sequence, record in sorted(copy.changes.items()) if sequence > max(local, default=0)]
    if missing:
        metrics = _metrics(client, problem)
        champion = ledger.adopt(copy.identity or "", missing, metrics, challenger=copy.aliases.get("challenger"))
        what = f"lacked {len(missing)} of {len(copy.changes)} changes" if local else "was lost"
        _log.warning(
            "the ledger of %s %s and was made again from MLflow: version %s is champion",
            problem,
            what,
            champion.version,
        )


def _read_copy(client: MlflowClient, problem: str) -> LedgerCopy | None:
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(problem)
    except MlflowException as error:
        if absent(error):
            return None
        raise translated(error, f"MLflow, {problem}") from error
    tags = {str(name): str(value) for name, value in model.tags.items()}
    changes = (_change(name, value) for name, value in tags.items() if name.startswith(CHANGE))
    return LedgerCopy(
        identity=tags.get(IDENTITY),
        changes={record.sequence: record for record in changes},
        aliases={name: str(version) for name, version in model.aliases.items()},
    )


def _text(record: Record) -> str:
    fields = {name: getattr(record, name) for name in ("action", "version", "previous", "reason", "at_us")}
    return json.dumps(fields, sort_keys=True)


def _change(name: str, value: str) -> Record:
    try:
        fields: dict[str, Any] = json.loads(value)
        return Record(sequence=int(name.removeprefix(CHANGE)), **fields)
    except (ValueError, TypeError):
        raise ConflictError(
            "this tag is not a change of champion as it was written",
            where=f"MLflow, {name}",
            found=[value[:80]],
            fix="restore a backup, or delete the tag and say who is champion: `headrace promote PROBLEM VERSION`",
        ) from None


def _require_same_history(ledger: Ledger, local: Mapping[int, Record], copy: LedgerCopy) -> None:
    """Check that ledger and copy agree in all changes that both contain."""
    shared = local.keys() & copy.changes.keys()
    differs = [sequence for sequence in sorted(shared) if _text(local[sequence]) != _text(copy.changes[sequence])]
    different_ledger = local and ledger.identity() not in (None, copy.identity)
    if differs or different_ledger:
        at = f", from change {differs[0]} on" if differs else ""
        raise ConflictError(
            f"the ledger here and the model in MLflow tell different histories{at}",
            where=f"ledger {ledger.problem}",
            found=[
                f"champion here: {local[max(local)].version}",
                f"in MLflow: {copy.changes[max(copy.changes)].version}",
            ],
            fix=f"another installation uses this MLflow and name: use others; remove {ledger.place} to follow MLflow",
        )


def _require_undecided(client: MlflowClient, problem: str, copy: LedgerCopy) -> None:
    marked = ((str(one.version), one.tags.get(STATUS)) for one in _versions(client, problem))
    decided = [version for version, status in marked if status in ("passed", "rolled_back")]
    champion = copy.aliases.get("champion")
    if champion is not None or decided:
        raise ConflictError(
            "there is no ledger, and MLflow does not say how its versions became what they are",
            where=f"ledger {problem}",
            found=[f"@champion is version {champion}"] if champion else [f"version {one}" for one in decided],
            fix="restore ledger/ from a backup, or say who is champion: `headrace promote PROBLEM VERSION`",
        )


def _metrics(client: MlflowClient, problem: str) -> dict[str, dict[str, float]]:
    """Return version -> metrics; deleted versions have none."""
    tags = {str(one.version): one.tags.get(METRICS) for one in _versions(client, problem)}
    return {version: json.loads(text) for version, text in tags.items() if text}


def _versions(client: MlflowClient, problem: str) -> list[Any]:
    return list(client.search_model_versions(f"name = {quoted(problem)}"))
