"""Search an architecture on a data set, log it to MLflow like a study, and return what Prefect shows of it.

Each evaluation is journalled as it ends. The same request after a kill trains only what the journal lacks, and
completes the same run in MLflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headrace.core.errors import DeclarationError
from headrace.core.fingerprint import fingerprint
from headrace.networks.architectures import ArchitectureSpace, Genotype, image_space, tabular_space
from headrace.networks.benchmark import EvaluationJournal
from headrace.networks.benchmark.table import Record
from headrace.networks.pictures import draw_curves, draw_genotypes
from headrace.networks.strategies import STRATEGIES, Budget, SearchResult, search_architecture
from headrace.pipeline.report import Artifact, artifact_key
from headrace.search.trial import Trial

#: Trains the network of a genotype.
Train = Callable[[ArchitectureSpace, Genotype], Record]
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class ArchitectureRequest:
    """What is searched.

    Attributes:
        data_set: One of `networks.cells.data.DATA_SETS`; the image space for "digits", else the tabular one.
        strategy: One of `networks.strategies.STRATEGIES`.
        evaluations: Most distinct genotypes that are trained.
        rounds: Rounds of a training.
        seed: Of strategy and trainings.

    Raises:
        DeclarationError: There is no such strategy.
    """

    data_set: str
    strategy: str = "evolution"
    evaluations: int = 20
    rounds: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise DeclarationError(f"no strategy {self.strategy!r}", where="architecture search", found=STRATEGIES)

    @property
    def space(self) -> ArchitectureSpace:
        return image_space() if self.data_set == "digits" else tabular_space()


@dataclass(frozen=True, kw_only=True)
class ArchitectureReport:
    """A finished search. run_id: of the parent run in MLflow."""

    request: ArchitectureRequest
    result: SearchResult
    run_id: str

    def rows(self) -> list[dict[str, Any]]:
        """Return the best genotypes, the least loss first."""
        ranked = sorted(self.result.history, key=lambda item: item[1].loss)[:_SHOWN]
        return [
            {"loss": evaluation.loss, "seconds": round(evaluation.seconds, 2), **self.request.space.choices(genotype)}
            for genotype, evaluation in ranked
        ]

    def artifacts(self) -> tuple[Artifact, ...]:
        """Return the leaderboard and a summary, for the orchestrator's pages."""
        request, result = self.request, self.result
        name = f"{request.strategy}-{request.seed}"
        best = ", ".join(f"{slot} {option}" for slot, option in request.space.choices(result.best).items())
        text = (
            f"## Architectures for {request.data_set}\n\n{len(result.history)} networks by {request.strategy}, "
            f"{result.seconds:.0f} network-seconds. Least validation loss {result.loss:.4g}: {best}."
        )
        key = f"architectures-{request.data_set}"
        return (
            Artifact(key=artifact_key(key, name), kind="markdown", data=text, description=f"Best: {best}"),
            Artifact(
                key=artifact_key(key, f"{name}-leaderboard"), kind="table", data=self.rows(),
                description=f"Architectures for {request.data_set}, the least loss first",
            ),
        )  # fmt: skip


def search_architectures(
    request: ArchitectureRequest, folder: Path, tracking_uri: str, *, train: Train | None = None
) -> ArchitectureReport:
    """Search, draw, and log.

    Args:
        request: What is searched.
        folder: Folder of journals and pictures; each request has one of its own below it.
        tracking_uri: Address of MLflow.
        train: Trains a network; by `networks.cells` where None, which needs the extra `neural`.
    """
    from headrace.registry.tracking import log_study

    key = fingerprint(asdict(request))[:16]
    own, space = folder / f"{request.data_set}-{key}", request.space
    chosen = _training(request) if train is None else train
    journal = EvaluationJournal(own / "journal.jsonl", lambda genotype: chosen(space, genotype))
    rng, budget = np.random.default_rng(request.seed), Budget(evaluations=request.evaluations)
    result = search_architecture(STRATEGIES[request.strategy](), space, journal, budget, rng)
    pictures = [own / "best.svg", own / "curve.svg"]
    draw_genotypes(space, {"best": result.best}, pictures[0])
    curves = {request.data_set: {request.strategy: [np.array(result.curve())]}}
    draw_curves(curves, pictures[1], label="least validation loss")
    run_id = log_study(
        tracking_uri,
        f"architectures-{request.data_set}",
        key=f"architectures-{key}",
        study_name=f"{request.strategy}, seed {request.seed}",
        trials=[_trial(space, number, *item) for number, item in enumerate(result.history)],
        params=asdict(request),
        metrics={"best_loss": result.loss, "network_seconds": result.seconds},
        artifacts=pictures,
        seconds=result.seconds,
    )
    return ArchitectureReport(request=request, result=result, run_id=run_id)


def _trial(space: ArchitectureSpace, number: int, genotype: Genotype, evaluation: Any) -> Trial:
    failed = not np.isfinite(evaluation.loss)
    return Trial(
        number=number,
        config=dict(space.choices(genotype)),
        status="failed" if failed else "ok",
        loss=None if failed else evaluation.loss,
        seconds=evaluation.seconds,
        error="the training failed" if failed else "",
    )


def _training(request: ArchitectureRequest) -> Train:
    from headrace.networks.cells.data import load_search_data
    from headrace.networks.cells.training import train_genotype

    data = load_search_data(request.data_set)
    return lambda space, genotype: train_genotype(space, genotype, data, seed=request.seed, rounds=request.rounds)
