"""A harbour whose predictions are served from the real online store, and a bundle in ten lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.audit.versions import Versions
from headrace.core.clock import DAY, HOUR, iso
from headrace.core.errors import NotFoundError
from headrace.models.design import Encoder
from headrace.prediction_log.log import PredictionLog
from headrace.serving.answers import Answer
from headrace.serving.follow import LoadedVersion
from headrace.serving.predictor import Predictor
from headrace.store.materialise import materialise
from headrace.store.online import OnlineStore
from headrace.store.publish import publish
from headrace.synthesis.language.definitions import Definition
from tests.store.world import BOATS, START, World, features, make_world

#: Instants of requests: some right after a refresh, some with features that are hours old.
HOURS = (5 * 24, 5 * 24 + 3, 9 * 24 + 1, 15 * 24)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A bundle that predicts 0.5."""

    service: str = "all"
    definitions: tuple[Definition, ...] = features()
    lead_time: Any = None
    encoder: Encoder = field(default_factory=lambda: Encoder(names=(), categories={}))

    def predict(self, matrix: pa.Table) -> Any:
        return np.full(matrix.num_rows, 0.5)


class OneVersion(Versions):
    """Version 1 alone."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def bundle(self, version: str) -> Any:
        if version != "1":
            raise NotFoundError(f"no version {version}", where="MLflow, model harbour", found=["1"])
        return self._model


@dataclass(frozen=True, kw_only=True)
class Harbour:
    """A world and the predictor of its version 1."""

    world: World
    predictor: Predictor
    versions: Versions

    @property
    def log(self) -> PredictionLog:
        return PredictionLog(self.world.root, self.world.problem.name)

    def refresh(self, hours: int) -> None:
        materialise(self.world.root, self.world.problem, START + hours * HOUR)

    def serve(self, hours: int) -> list[Answer]:
        """Predict for every boat, an unknown one and none, at three berths."""
        rows = [
            {"boat": boat, "berth": berth, "moored": iso(START + (hours + 1) * HOUR)}
            for boat in (*BOATS, "unknown", None)
            for berth in (2**40, 3 * 2**40, None)
        ]
        return self.predictor.predict(rows, now_us=START + hours * HOUR + 7)


def make_harbour(folder: Path) -> Harbour:
    """A loaded lake with all features published, and nothing served."""
    world, model = make_world(folder), Model(lead_time={"low_s": 0.0, "high_s": DAY / 1e6})
    publish(world.root, world.problem, features(), "all")
    loaded = LoadedVersion(version="1", bundle=model)  # type: ignore[arg-type]
    number: Iterator[int] = iter(range(10**6))
    predictor = Predictor(
        world.problem,
        champion=lambda: loaded,
        online=OnlineStore(world.root, world.problem),
        log=PredictionLog(world.root, world.problem.name),
        new_id=lambda: f"p{next(number):05d}",
        key_types=lambda: {"boat": "string", "berth": "int64"},
    )
    return Harbour(world=world, predictor=predictor, versions=OneVersion(model))


def live(harbour: Harbour, hours: Sequence[int] = HOURS) -> None:
    """Refresh the store daily at most, and serve in between."""
    for hour in hours:
        harbour.refresh(hour - hour % 24)
        harbour.serve(hour)
