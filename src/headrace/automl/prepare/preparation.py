"""The preparation of a configuration: blocks that compute a design matrix from a cleaned table, fitted on one fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from headrace.automl.prepare.block import Block, Matrix, Target
from headrace.automl.prepare.constructions import Constructions
from headrace.automl.prepare.encoding import TargetEncoded
from headrace.automl.prepare.scaling import Scaled
from headrace.automl.prepare.simple import CategoryCodes, Dates, Numbers, Texts
from headrace.automl.table.cleaning import Cleaner
from headrace.models.design import Design

#: Parameters of a config that choose its preparation.
PARAMETERS = ("categories", "constructions", "scale")
#: Most levels that are kept as codes; the rare ones share one.
_MAX_LEVELS = 1_000
#: A category with at most this many levels is one-hot encoded for a scaled matrix, others by the target.
_MAX_ONE_HOT = 30


@dataclass(frozen=True, kw_only=True)
class PreparationSpec:
    """The choices of a preparation.

    Attributes:
        categories: "codes": one column of codes. "target": encoded by the target. "both".
        constructions: Whether constructed columns are added.
        scale: "": for trees, with missing values; else one of `SCALES`: imputed, scaled, one-hot.
    """

    categories: str = "codes"
    constructions: bool = False
    scale: str = ""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> PreparationSpec:
        """Return the choices in a family's config; others take their default."""
        return cls(**{name: config[name] for name in PARAMETERS if name in config})


class Preparation:
    """The blocks of a spec, fitted on the training rows of one fold.

    Args:
        spec: The choices.
        cleaner: Columns of the table.
        without_trend: Date columns whose trend is left out.
    """

    def __init__(self, spec: PreparationSpec, cleaner: Cleaner, without_trend: tuple[str, ...] = ()) -> None:
        self.spec = spec
        numbers, categories = cleaner.names("number"), cleaner.names("category")
        coded, encoded = _coded_and_encoded(spec, cleaner)
        self.blocks: list[Block] = [
            *([Numbers(numbers)] if numbers else []),
            *([Dates(cleaner.names("date"), without_trend)] if cleaner.names("date") else []),
            *([Texts(cleaner.names("text"))] if cleaner.names("text") else []),
            *([TargetEncoded(encoded)] if encoded else []),
            *([Constructions(numbers, categories)] if spec.constructions and (numbers or categories) else []),
        ]
        self.codes = CategoryCodes(coded, max_levels=_MAX_LEVELS, counts=not spec.scale) if coded else None
        self.scaled: Scaled | None = None

    def fit_transform(self, frame: pd.DataFrame, target: Target) -> Design:
        """Fit all blocks on training rows [n] and return their design matrix; out of fold where the target is used."""
        parts = [block.fit_transform(frame, target) for block in self.blocks]
        if self.codes is not None:
            parts.append(self.codes.fit_transform(frame, target))
        design = self._design(parts, len(frame))
        if not self.spec.scale:
            return design
        self.scaled = Scaled(self.spec.scale, target.seed)
        return self.scaled.fit_transform(design)

    def transform(self, frame: pd.DataFrame) -> Design:
        """Return the design matrix of other rows."""
        parts = [block.transform(frame) for block in self.blocks]
        if self.codes is not None:
            parts.append(self.codes.transform(frame))
        design = self._design(parts, len(frame))
        return design if self.scaled is None else self.scaled.transform(design)

    def _design(self, parts: list[Matrix], n_rows: int) -> Design:
        names = tuple(name for block in self.blocks for name in block.names)
        categorical: tuple[int, ...] = ()
        if self.codes is not None:
            categorical = tuple(range(len(names), len(names) + len(self.codes.columns)))
            names += self.codes.names
        X = np.concatenate(parts, axis=1) if parts else np.empty((n_rows, 0), dtype=np.float32)
        return Design(X=np.ascontiguousarray(X, dtype=np.float32), names=names, categorical=categorical)


def _coded_and_encoded(spec: PreparationSpec, cleaner: Cleaner) -> tuple[list[str], list[str]]:
    """Return the categories that become codes, and those that are encoded by the target; one may be in both."""
    levels = {name: _levels(cleaner, name) for name in cleaner.names("category")}
    if spec.scale:
        coded = [name for name, count in levels.items() if count <= _MAX_ONE_HOT]
    else:
        coded = [] if spec.categories == "target" else list(levels)
    both = spec.categories == "both"
    return coded, [name for name, count in levels.items() if name not in coded or (both and count > 2)]


def _levels(cleaner: Cleaner, name: str) -> int:
    return next(column.levels for column in cleaner.columns if column.name == name)
