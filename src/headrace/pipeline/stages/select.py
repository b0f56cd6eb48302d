"""The stage `select`: choose features on the train and tune windows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headrace.core import parquet
from headrace.core.files import write_json
from headrace.core.fingerprint import fingerprint
from headrace.pipeline.context import Context
from headrace.pipeline.production.feature_matrix import read_definitions
from headrace.pipeline.stage import Needs, Stage
from headrace.pipeline.stages.candidate_matrix import Candidates
from headrace.pipeline.stages.inputs import shares_of, windows_of
from headrace.synthesis.language.definitions import to_json
from headrace.synthesis.selection.select import select


def _select(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    """Features chosen on the train and tune windows: one that had been chosen on the gate would pass it by that."""
    made, windows = needs["synthesise"], windows_of(context, needs)
    definitions = read_definitions(made.path("definitions.json"))
    written = Candidates(made.folder, made.path)
    candidates = written.table() if context.max_memory is None else written
    label = parquet.read(made.path("spine.parquet"), columns=["label"])["label"].to_numpy()
    selection = select(
        candidates,
        label,
        definitions,
        max_features=context.problem.max_features,
        seed=context.seed,
        threads=context.workers,
        rows=np.concatenate([windows.train, windows.tune]),
    )
    kept = [to_json(item) for item in selection.kept]
    write_json(folder / "definitions.json", kept)
    write_json(folder / "ledger.json", selection.ledger)
    service = fingerprint(kept)[:10]  # the store puts the problem's name before it
    return {"kept": len(kept), "candidates": len(definitions), "service": service}


SELECT = Stage(
    name="select",
    run=_select,
    needs=("ingest", "synthesise"),
    code=("headrace.synthesis", "headrace.evaluate.splits"),
    parameters=lambda context: {
        "max_features": context.problem.max_features,
        "seed": context.seed,
        "shares": shares_of(context),
    },
)
