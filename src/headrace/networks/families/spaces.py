"""Spaces and defaults of the network families, shared by the pipeline and by AutoML."""

from __future__ import annotations

from typing import Literal

from headrace.models.space import Categorical, Config, Float, Integer, Parameter, Space

Body = Literal["mlp", "tabm", "tabnet"]
BODIES: tuple[Body, ...] = ("mlp", "tabm", "tabnet")


def network_space(body: Body) -> Space:
    """Return the space of a body: "mlp", "tabm" or "tabnet"."""
    shared: dict[str, Parameter] = {"rate": Float(3e-4, 6e-3, log=True), "decay": Float(1e-5, 1e-1, log=True)}
    if body == "tabnet":
        return Space(
            {
                **shared,
                "blocks": Integer(2, 5),
                "width": Categorical((8, 16, 32)),
                "gamma": Float(1.0, 2.0),
            }
        )
    return Space(
        {
            **shared,
            "blocks": Integer(1, 4),
            "width": Categorical((64, 128, 256)),
            "dropout": Float(0.0, 0.5),
            "embedding": Categorical(("none", "piecewise", "periodic")),
            "bins": Integer(4, 48, log=True),
        }
    )


def network_default(body: Body) -> Config:
    """Return a config of that space that does well on most tables."""
    if body == "tabnet":
        return {"rate": 6e-3, "decay": 1e-5, "blocks": 3, "width": 16, "gamma": 1.3}
    width = 128 if body == "mlp" else 64
    return {
        "rate": 2e-3,
        "decay": 1e-3,
        "blocks": 2,
        "width": width,
        "dropout": 0.1,
        "embedding": "piecewise",
        "bins": 16,
    }
