"""Mirror the ledger in MLflow: the aliases champion, challenger and previous, and a copy of the ledger in tags.

For each alias three versions are compared: `expected` (by the ledger), `actual` (in MLflow), and what Headrace wrote or
was writing last (recorded in the ledger).

    actual = expected                   nothing to do
    actual = written or writing, none   set by Headrace, or deleted with its version: set it to `expected`
    anything else                       changed by a person: a Proposal, not overwritten

`writing` is recorded before the request to MLflow, which distinguishes a crash between the two from a change by a
person; mirroring again converges. A lost ledger is recovered from the tags (`registry.recovery`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.errors import NotFoundError
from headrace.registry import probe
from headrace.registry.client import STATUS, absent, connect, quoted, translated
from headrace.registry.fencing import FencingToken
from headrace.registry.ledger import Ledger
from headrace.registry.ledger_tables import AliasState
from headrace.registry.recovery import CHANGE, IDENTITY, METRICS, ledger_tags, metrics_tag

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ALIASES = ("champion", "challenger", "previous")


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """An alias that a person changed in MLflow.

    Attributes:
        alias: Name of the alias.
        expected: Version by the ledger, None for no version.
        actual: Version in MLflow; None where the expected version was deleted.
    """

    alias: str
    expected: str | None
    actual: str | None

    def __str__(self) -> str:
        if self.actual is None:
            return (
                f"version {self.expected}, @{self.alias} in the ledger, was deleted in MLflow. Run again to register it"
            )
        stays = f"version {self.expected}" if self.expected else "none"
        return (
            f"somebody moved @{self.alias} to version {self.actual}; the ledger says {stays}. Promote version "
            f"{self.actual} to accept it, or mirror again with overwrite to put it back"
        )


def mirror(
    root: Path,
    problem: str,
    tracking_uri: str,
    *,
    challenger: str | None = "",
    overwrite: bool = False,
    token: FencingToken | None = None,
) -> tuple[Proposal, ...]:
    """Set MLflow's aliases to those of the ledger. Idempotent; a change by a person is returned, not undone.

    Args:
        root: Home folder.
        problem: Name of the problem.
        tracking_uri: Address of MLflow.
        challenger: New challenger of the ledger (None: no challenger; "": unchanged).
        overwrite: Undo changes by persons too.
        token: Of the run; None: no other run replaces it.

    Returns:
        The aliases that a person changed.

    Raises:
        NotFoundError: No version is registered.
        ConflictError: Another run has replaced this one.
    """
    ledger = Ledger(root, problem, token=token)
    if challenger != "":
        ledger.set_challenger(challenger)
    client = connect(tracking_uri)
    actual = _actual(client, problem)
    proposals = (
        _mirror_alias(client, ledger, alias, target, actual.get(alias), overwrite=overwrite)
        for alias, target in _targets(ledger).items()
    )
    unresolved = tuple(proposal for proposal in proposals if proposal is not None)
    _write_tags(client, ledger)
    return unresolved


def is_mirrored(root: Path, problem: str, tracking_uri: str) -> bool:
    """Whether MLflow's aliases and its copy of the ledger agree with the ledger.

    Queried without MLflow's client; False where that is not possible.
    """
    if not probe.local(tracking_uri):
        return False
    aliases, tags = probe.registered_model(tracking_uri, problem)
    ledger = Ledger(root, problem)
    copied = {name: value for name, value in tags.items() if name == IDENTITY or name.startswith(CHANGE)}
    pointed = all(aliases.get(alias) == target for alias, target in _targets(ledger).items())
    return pointed and copied == ledger_tags(ledger)


def _targets(ledger: Ledger) -> Mapping[str, str | None]:
    champion = ledger.champion()
    versions = (champion.version if champion else None, ledger.challenger(), ledger.previous())
    return dict(zip(ALIASES, versions, strict=True))


def _actual(client: MlflowClient, problem: str) -> Mapping[str, str]:
    from mlflow.exceptions import MlflowException

    try:
        return {name: str(version) for name, version in client.get_registered_model(problem).aliases.items()}
    except MlflowException as error:
        if absent(error):
            raise NotFoundError(
                "no such registered model", where=f"MLflow, {problem}", fix="register a version first"
            ) from error
        raise translated(error, f"MLflow, {problem}") from error


def _mirror_alias(
    client: MlflowClient, ledger: Ledger, alias: str, target: str | None, actual: str | None, *, overwrite: bool
) -> Proposal | None:
    known: AliasState = ledger.alias_state(alias)
    if actual == target:
        if known.written != target:
            ledger.finish_alias_write(alias, target)
        return None
    if actual is not None and actual not in (known.written, known.writing) and not overwrite:
        return Proposal(alias=alias, expected=target, actual=actual)
    ledger.begin_alias_write(alias, target)
    if not _set(client, ledger.problem, alias, target):
        return Proposal(alias=alias, expected=target, actual=None)
    ledger.finish_alias_write(alias, target)
    return None


def _write_tags(client: MlflowClient, ledger: Ledger) -> None:
    """Write the ledger's copy to MLflow, and the state and metrics of versions; unchanged tags are not written."""
    model = client.get_registered_model(ledger.problem)
    for name, value in ledger_tags(ledger).items():
        if model.tags.get(name) != value:
            client.set_registered_model_tag(ledger.problem, name, value)
    expected = _version_tags(ledger)
    for version in client.search_model_versions(f"name = {quoted(ledger.problem)}"):
        for name, value in expected.get(str(version.version), {}).items():
            if version.tags.get(name) != value:
                client.set_model_version_tag(ledger.problem, version.version, name, value)


def _version_tags(ledger: Ledger) -> dict[str, dict[str, str]]:
    """Return version -> tags: metrics, and `validation_status` of promoted and rolled-back versions."""
    champion = ledger.champion()
    decided = dict.fromkeys(ledger.barred(), "rolled_back")
    if champion is not None:
        decided[champion.version] = "passed"
    return {
        version: {METRICS: metrics_tag(metrics), **({STATUS: decided[version]} if version in decided else {})}
        for version, metrics in ledger.versions().items()
    }


def _set(client: MlflowClient, problem: str, alias: str, target: str | None) -> bool:
    """Set an alias to a version, or remove it; False where the version does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        if target is None:
            client.delete_registered_model_alias(problem, alias)
        else:
            client.set_registered_model_alias(problem, alias, target)
    except MlflowException as error:
        if target is not None and absent(error):
            return False
        raise translated(error, f"alias {alias} of {problem}") from error
    return True
