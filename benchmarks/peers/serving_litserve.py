"""LitServe around a LightGBM model: finished rows, as `benchmarks.serving_floor` takes them. Own environment.

python serving_litserve.py MODEL_TEXT PORT
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightgbm
import litserve
import numpy as np


class Trees(litserve.LitAPI):
    """Predicts `{"values": [...]}` or `{"rows": [{"values": [...]}, ...]}`."""

    def setup(self, device: str) -> None:
        self.booster = lightgbm.Booster(model_str=Path(sys.argv[1]).read_text())

    def decode_request(self, request):  # LitServe takes an annotation for that of a query
        rows = request.get("rows", [request])
        return np.array([row["values"] for row in rows])

    def predict(self, x: Any) -> Any:
        return self.booster.predict(x, num_threads=1)

    def encode_response(self, output: Any) -> Any:
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Trees(api_path="/predict"), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="error")
