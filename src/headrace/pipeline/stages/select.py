"""The stage `select`: choose features on the train and tune windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headrace.core import parquet
from headrace.core.files import write_json
from headrace.core.fingerprint import fingerprint
from headrace.pipeline.context import Context
from headrace.pipeline.production.definitions import DEFINITIONS, read_definitions, write_definitions
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.candidate_matrix import Candidates
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.synthesise import SPINE, SYNTHESISE
from headrace.pipeline.stages.windows import training_folds, training_windows, window_shares
from headrace.schema.problem import AUTO
from headrace.synthesis.language.definitions import to_json
from headrace.synthesis.language.engine import PartitionedEngine
from headrace.synthesis.selection.depth import choose_depth, level
from headrace.synthesis.selection.select import select

#: The depths that were compared, where the problem's is "auto".
DEPTHS = "depths.json"
#: What the champion's study knows, in a retrain.
KNOWN = "known.json"


@dataclass(frozen=True, kw_only=True)
class SelectOutput:
    """The features that a model is trained on; their definitions lie beside this.

    Attributes:
        features: how many there are.
        candidates: how many they were chosen from.
        service: the feature service that serves them, without the problem's name.
        recipe_of: the version whose features were retained (stage `refresh`).
        champion_config: that version's configuration, which the search begins with.
        champion_families: the families of that version's model: those of the members for an ensemble.
        known_trials: how many trials of that version's study are known; they lie beside this.
        depth: the depth that validation chose, where the problem's is "auto".
        agreement: of the models that selected, the mean share in which a kept feature gains more than noise.
    """

    features: int
    candidates: int
    service: str
    recipe_of: str | None = None
    champion_config: Mapping[str, Any] | None = None
    champion_families: tuple[str, ...] = ()
    known_trials: int = 0
    depth: int | None = None
    agreement: float | None = None


def select_features(context: Context, inputs: Inputs, folder: Path) -> SelectOutput:
    """Select on the train and tune windows. A feature that was chosen on the gate would pass the gate by that."""
    synthesised, windows = inputs[SYNTHESISE], training_windows(context, inputs)
    definitions = read_definitions(synthesised.path(DEFINITIONS))
    written = Candidates(synthesised.folder, synthesised.path)
    candidates = written if isinstance(context.engine, PartitionedEngine) else written.table()
    label = parquet.read(synthesised.path(SPINE), columns=["label"])["label"].to_numpy()
    depth = None
    if context.problem.depth == AUTO:
        folds, _ = training_folds(context, inputs, windows)
        limits = {"max_features": context.problem.max_features, "seed": context.seed, "threads": context.workers}
        depth, results = choose_depth(context.problem, candidates, label, definitions, folds, **limits)
        write_json(folder / DEPTHS, [asdict(item) for item in results])
        definitions = tuple(item for item in definitions if level(context.problem, item) <= depth)
    selection = select(
        candidates,
        label,
        definitions,
        max_features=context.problem.max_features,
        seed=context.seed,
        threads=context.workers,
        rows=np.concatenate([windows.train, windows.tune]),
    )
    write_definitions(folder / DEFINITIONS, selection.kept)
    write_json(folder / "ledger.json", selection.ledger)
    service = fingerprint([to_json(item) for item in selection.kept])[:10]
    return SelectOutput(
        features=len(selection.kept),
        candidates=len(selection.ledger),
        service=service,
        depth=depth,
        agreement=selection.agreement,
    )


def select_parameters(context: Context) -> dict[str, Any]:
    """What a selection depends on besides its needs."""
    return {"max_features": context.problem.max_features, "seed": context.seed, "shares": window_shares(context)}


SELECT = Stage(
    name="select",
    output=SelectOutput,
    run=select_features,
    needs=(INGEST, SYNTHESISE),
    parameters=select_parameters,
)
