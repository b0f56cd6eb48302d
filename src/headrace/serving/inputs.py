"""Compute the model's inputs of request rows as NumPy arrays: stored values, request columns, transforms, encoding.

The values are those of `synthesis.primitives.finish` and `Encoder.encode`, which build an Arrow array per feature: for
one row, the arrays cost a hundred times as much as the values. Here a plan is made once per version, and transforms of
one primitive are computed together, because the result of a row depends on that row alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.lake.packed_features import FeatureNames, PackedFeatures
from headrace.models.design import Design, Encoder
from headrace.serving.entity_rows import StoredColumns, StoredRows
from headrace.serving.transform_steps import TEXT_KINDS, Columns, Layout, TransformStep, row_instants, transform_steps
from headrace.synthesis.language.definitions import Aggregate, Definition, row_columns, stored
from headrace.synthesis.language.values import LARGEST
from headrace.synthesis.primitives.catalogue import aggregation


@dataclass(frozen=True, kw_only=True)
class ModelInputs:
    """The inputs of a model for n rows.

    Attributes:
        design: Design matrix [n, d].
        features: For each row: slug -> value, in the order of the definitions; None is missing.
    """

    design: Design
    features: list[PackedFeatures]


class InputPlan:
    """Computes the inputs of one version's model; make it with `of`.

    Attributes:
        columns: The stored features that it reads.
    """

    def __init__(self, definitions: Sequence[Definition], encoder: Encoder) -> None:
        sources = stored(definitions)
        self.columns = StoredColumns.from_kinds({item.slug: item.kind for item in sources})
        self._encoder = encoder
        self._layout = Layout.of(definitions)
        self._steps: tuple[TransformStep, ...] = transform_steps(definitions, self._layout)
        by_slug = {item.slug: item for item in sources}
        empty = [_empty(by_slug[slug]) for slug in self.columns.numbers]
        self._empty = np.array(empty, dtype=np.float64)
        requested = row_columns(definitions)
        self._row_numbers = [item.column for item in requested if item.kind in ("numeric", "boolean")]
        self._row_instants = [item.column for item in requested if item.kind == "time"]
        self._row_texts = [item.column for item in requested if item.kind in TEXT_KINDS]
        numeric = [item for item in definitions if item.kind not in TEXT_KINDS]
        self._numbers = np.array([self._layout.numbers[item] for item in numeric], dtype=np.intp)
        self._texts = [(item.slug, self._layout.texts[item]) for item in definitions if item.kind in TEXT_KINDS]
        self._names = FeatureNames(
            names=tuple(item.slug for item in definitions), texts=tuple(slug for slug, _ in self._texts)
        )
        from_ = {item.slug: self._layout.numbers[item] for item in numeric}
        encoded = [(at, name) for at, name in enumerate(encoder.names) if name not in encoder.categories]
        self._encoded_from = np.array([from_[name] for _, name in encoded], dtype=np.intp)
        self._encoded_to = np.array([at for at, _ in encoded], dtype=np.intp)
        text_of = dict(self._texts)
        self._codes = [
            (at, text_of[name], {value: float(code) for code, value in enumerate(encoder.categories[name])})
            for at, name in enumerate(encoder.names)
            if name in encoder.categories
        ]
        self._categorical = encoder.categorical

    @classmethod
    def of(cls, definitions: Sequence[Definition], encoder: Encoder) -> InputPlan | None:
        """Return the plan of a version; None for one whose inputs only an Arrow table gives.

        Those are features that are instants, and encoders of other columns than the definitions.
        """
        kinds = {item.slug: item.kind for item in definitions}
        fits = set(encoder.names) <= set(kinds) and all(
            (kinds[name] in TEXT_KINDS) == (name in encoder.categories) for name in encoder.names
        )
        return cls(definitions, encoder) if fits and "time" not in kinds.values() else None

    def compute(self, rows: StoredRows, request: Sequence[Mapping[str, Any]], tick_us: int) -> ModelInputs:
        """Compute the inputs of n rows.

        Args:
            rows: Stored features of the rows.
            request: Their own columns, checked (`serving.request.RequestRow.columns`).
            tick_us: Tick of the calls, microseconds UTC.
        """
        columns, raw = self._columns(rows, request)
        for step in self._steps:
            step.apply(columns, tick_us)
        columns.numbers[:, : raw.shape[1]] = raw
        return ModelInputs(design=self._encode(columns), features=self._features(columns))

    def _columns(self, rows: StoredRows, request: Sequence[Mapping[str, Any]]) -> tuple[Columns, NDArray[np.float64]]:
        """Return the inputs of transforms, and the stored numbers [n, s] as features.

        They differ where a stored number is too large for a transform, which then takes it for missing.
        """
        raw = np.where(np.isnan(rows.numbers), self._empty, rows.numbers)
        own = np.array([[row[name] for name in self._row_numbers] for row in request], dtype=np.float64)
        numbers = np.empty((len(request), self._layout.n_numbers))
        sources = raw.shape[1] + len(self._row_numbers)
        numbers[:, : raw.shape[1]] = rows.numbers
        numbers[:, raw.shape[1] : sources] = own.reshape(len(request), -1)
        with np.errstate(invalid="ignore"):
            numbers[:, :sources][~(np.abs(numbers[:, :sources]) <= LARGEST)] = np.nan
        stored_part = numbers[:, : raw.shape[1]]
        numbers[:, : raw.shape[1]] = np.where(np.isnan(stored_part), self._empty, stored_part)
        texts = [list(column) for column in zip(*rows.texts, strict=True)] if self.columns.texts else []
        texts += [[row[name] for row in request] for name in self._row_texts]
        texts += [[] for _ in range(self._layout.n_texts - len(texts))]
        instants = np.concatenate([rows.instants, row_instants(request, self._row_instants)], axis=1)
        return Columns(numbers=numbers, instants=instants, texts=texts), raw

    def _encode(self, columns: Columns) -> Design:
        X = np.empty((len(columns.numbers), len(self._encoder.names)), dtype=np.float32)
        with np.errstate(over="ignore"):  # beyond float32 is infinite, hence missing
            X[:, self._encoded_to] = columns.numbers.take(self._encoded_from, axis=1)
        for position, text, code_of in self._codes:
            X[:, position] = [code_of.get(value, np.nan) for value in columns.texts[text]]
        X[~np.isfinite(X)] = np.nan
        return Design(X=X, names=self._encoder.names, categorical=self._categorical)

    def _features(self, columns: Columns) -> list[PackedFeatures]:
        numbers = columns.numbers.take(self._numbers, axis=1).astype("<f8", copy=False)
        texts = zip(*(columns.texts[position] for _, position in self._texts), strict=True)
        each = list(texts) if self._texts else [()] * len(numbers)
        return [PackedFeatures(self._names, row.tobytes(), own) for row, own in zip(numbers, each, strict=True)]


def _empty(definition: Definition) -> float:
    """Return the value of a feature of no rows; NaN where it is missing."""
    value = aggregation(definition.primitive).empty if isinstance(definition, Aggregate) else None
    return np.nan if value is None else value
