"""The floor of serving: FastAPI and LightGBM alone, given finished features. For `make bench-serving`."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from headrace.api.server import production_clock
from headrace.core.settings import settings
from headrace.problems.catalogue import load_problem
from headrace.serving.service import open_service


class Row(BaseModel):
    """Finished features of one row, in the model's order."""

    values: list[float]


class Batch(BaseModel):
    """Several rows."""

    rows: list[Row]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    root, problem = settings().root, load_problem("flights")
    service = open_service(root, problem, settings().mlflow_store, production_clock(root, problem))
    service.follower.refresh()
    fitted: Any = service.follower.current.bundle.fitted
    booster = getattr(fitted, "source", fitted).booster  # the compiled trees' own model
    app = FastAPI()

    @app.get("/readyz")
    async def ready() -> bool:
        return True

    @app.get("/features")
    async def features() -> int:
        return int(booster.num_feature())

    @app.post("/predict")
    async def predict(row: Row) -> dict[str, float]:
        return {"probability": float(booster.predict(np.array([row.values]), num_threads=1)[0])}

    @app.post("/predict/batch")
    async def predict_batch(batch: Batch) -> dict[str, list[float]]:
        values = np.array([row.values for row in batch.rows])
        return {"probabilities": booster.predict(values, num_threads=1).tolist()}

    uvicorn.run(app, port=parser.parse_args().port, access_log=False)


if __name__ == "__main__":
    main()
