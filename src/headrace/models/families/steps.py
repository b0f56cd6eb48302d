"""How boosting families with a parameter `learning_rate` compare and shorten their steps, for racing and `rounds`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from headrace.models.space import Config

#: Largest learning rate of `with_coarse_steps`: losses at larger ones predict little about small ones.
_MAX_COARSE_RATE = 0.5


class BoostingSteps:
    """The methods of a family's protocol that depend on its learning rate alone."""

    def rounds_at(self, config: Mapping[str, Any], progress: float) -> int | None:
        """Progress is the sum of the learning rates so far; at 1, 63 % of the residual is fitted (1 - 1/e)."""
        return math.ceil(progress / float(config["learning_rate"]))

    def with_coarse_steps(self, config: Mapping[str, Any]) -> Config:
        rate = float(config["learning_rate"])
        return {**config, "learning_rate": max(rate, min(3 * rate, _MAX_COARSE_RATE))}

    def with_smaller_steps(self, config: Mapping[str, Any], factor: float) -> Config:
        return {**config, "learning_rate": float(config["learning_rate"]) / factor}

    def extra_configs(self) -> tuple[Config, ...]:
        return ()
