"""Pictures of genotypes and search curves are written, with what they show in their text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headrace.networks.architectures import image_space
from headrace.networks.pictures import draw_curves, draw_genotypes


def test_genotypes_and_curves(tmp_path: Path) -> None:
    space = image_space()
    best = space.genotype({"edge 0-1": "conv_3x3", "edge 0-2": "skip", "edge 1-2": "none", "width": 8, "depth": 2})
    draw_genotypes(space, {"best": best, "other": (2, 2, 2, 0, 0)}, tmp_path / "cells.svg")
    assert (tmp_path / "cells.svg").read_text().startswith("<?xml")
    curves = {"digits": {"random": [np.array([3.0, 2.0]), np.array([3.0, 1.0])], "local": [np.array([2.0, 2.0])]}}
    draw_curves(curves, tmp_path / "curves.svg", label="loss")
    assert (tmp_path / "curves.svg").stat().st_size > 5_000
