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

from headrace.models.design import Design, Encoder
from headrace.prediction_log.packed_features import FeatureNames, PackedFeatures
from headrace.serving.entity_rows import StoredColumns, StoredRows
from headrace.serving.known_times import KnownTimes
from headrace.serving.transform_steps import (
    TEXT_KINDS,
    Columns,
    Layout,
    TransformStep,
    row_instants,
    source_of,
    transform_steps,
)
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


@dataclass(frozen=True, kw_only=True)
class PreparedRows:
    """What the inputs of n rows take from their stored features; completed for one request.

    Attributes:
        numbers: Stored numbers, and transforms of stored features alone, as transforms take them [n, numbers].
        instants: Stored instants, int64 [n, instants].
        features: The numbers that are logged, complete but for what depends on the request [n, f].
        design: The design matrix, complete but for what depends on the request [n, d].
        texts: For each row its stored texts.
    """

    numbers: NDArray[np.float64]
    instants: NDArray[np.int64]
    features: NDArray[np.float64]
    design: NDArray[np.float32]
    texts: list[list[Any]]


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
        of_times = [step for step in self._steps if step.source == "times"]
        self._times = KnownTimes(of_times, self._layout, len(self.columns.instants)) if of_times else None
        by_slug = {item.slug: item for item in sources}
        empty = [_empty(by_slug[slug]) for slug in self.columns.numbers]
        self._empty = np.array(empty, dtype=np.float64)
        requested = row_columns(definitions)
        self._row_numbers = [item.column for item in requested if item.kind in ("numeric", "boolean")]
        self._row_instants = [item.column for item in requested if item.kind == "time"]
        self._row_texts = [item.column for item in requested if item.kind in TEXT_KINDS]
        numeric = [item for item in definitions if item.kind not in TEXT_KINDS]
        self._texts = [(item.slug, self._layout.texts[item]) for item in definitions if item.kind in TEXT_KINDS]
        self._names = FeatureNames(
            names=tuple(item.slug for item in definitions), texts=tuple(slug for slug, _ in self._texts)
        )
        text_of = dict(self._texts)
        self._codes = [
            (at, text_of[name], {value: float(code) for code, value in enumerate(encoder.categories[name])})
            for at, name in enumerate(encoder.names)
            if name in encoder.categories
        ]
        self._categorical = encoder.categorical
        in_design = {name: at for at, name in enumerate(encoder.names) if name not in encoder.categories}
        self._static, self._dynamic = (
            _Columns.of(
                [(at, item) for at, item in enumerate(numeric) if (source_of(item) == "stored") == static],
                self._layout,
                in_design,
            )
            for static in (True, False)
        )
        self._n_features = len(numeric)

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
        return self.complete(self.prepare(rows, tick_us), request, tick_us)

    def prepare(self, rows: StoredRows, tick_us: int) -> PreparedRows:
        """Compute what depends on the stored features of n rows and the tick alone."""
        raw = np.where(np.isnan(rows.numbers), self._empty, rows.numbers)
        n, n_stored = raw.shape
        numbers = np.full((n, self._layout.n_numbers), np.nan)
        # a stored number that is too large for a transform is missing to it, and is a feature all the same
        within = np.abs(rows.numbers) <= LARGEST
        numbers[:, :n_stored] = np.where(within, rows.numbers, self._empty)
        columns = Columns(numbers=numbers, instants=rows.instants, texts=[])
        for step in self._steps:
            if step.source == "stored":
                step.apply(columns, tick_us)
        values = np.concatenate([raw, numbers[:, n_stored:]], axis=1)
        features = np.full((n, self._n_features), np.nan)
        design = np.full((n, len(self._encoder.names)), np.nan, dtype=np.float32)
        self._static.write(values, features, design)
        return PreparedRows(numbers=numbers, instants=rows.instants, features=features, design=design, texts=rows.texts)

    def complete(self, rows: PreparedRows, request: Sequence[Mapping[str, Any]], tick_us: int) -> ModelInputs:
        """Compute the inputs of n prepared rows; writes into their arrays. Arguments as of `compute`."""
        columns = self._columns(rows, request)
        if self._times is not None:
            columns.numbers[:, self._times.outputs] = self._times.of(columns.instants, tick_us)
        for step in self._steps:
            if step.source == "any":
                step.apply(columns, tick_us)
        self._dynamic.write(columns.numbers, rows.features, rows.design)
        for position, text, code_of in self._codes:
            rows.design[:, position] = [code_of.get(value, np.nan) for value in columns.texts[text]]
        design = Design(X=rows.design, names=self._encoder.names, categorical=self._categorical)
        return ModelInputs(design=design, features=self._features(rows.features, columns.texts))

    def _columns(self, rows: PreparedRows, request: Sequence[Mapping[str, Any]]) -> Columns:
        """Return the inputs of transforms."""
        if self._row_numbers:
            start = len(self.columns.numbers)
            own = np.array([[row[name] for name in self._row_numbers] for row in request], dtype=np.float64)
            rows.numbers[:, start : start + own.shape[1]] = np.where(np.abs(own) <= LARGEST, own, np.nan)
        texts = [list(column) for column in zip(*rows.texts, strict=True)] if self.columns.texts else []
        texts += [[row[name] for row in request] for name in self._row_texts]
        texts += [[] for _ in range(self._layout.n_texts - len(texts))]
        instants = rows.instants
        if self._row_instants:
            instants = np.concatenate([instants, row_instants(request, self._row_instants)], axis=1)
        return Columns(numbers=rows.numbers, instants=instants, texts=texts)

    def _features(self, numbers: NDArray[np.float64], texts: list[list[Any]]) -> list[PackedFeatures]:
        little = numbers.astype("<f8", copy=False).tobytes()
        size = 8 * self._n_features
        own = list(zip(*(texts[position] for _, position in self._texts), strict=True)) or [()] * len(numbers)
        return [
            PackedFeatures(self._names, little[at * size : (at + 1) * size], values) for at, values in enumerate(own)
        ]


@dataclass(frozen=True)
class _Columns:
    """Where some of the numbers go: to the logged features, and to the design matrix.

    Attributes:
        numbers: Positions in `Columns.numbers` [k].
        features: Positions among the logged numbers [k].
        encoded_from, encoded_to: Positions in `Columns.numbers` and in the design matrix [e].
    """

    numbers: NDArray[np.intp]
    features: NDArray[np.intp]
    encoded_from: NDArray[np.intp]
    encoded_to: NDArray[np.intp]

    @classmethod
    def of(cls, items: Sequence[tuple[int, Definition]], layout: Layout, in_design: Mapping[str, int]) -> _Columns:
        """Return the places of features. items: position among the logged numbers, feature."""
        encoded = [(layout.numbers[item], in_design[item.slug]) for _, item in items if item.slug in in_design]
        columns = (
            [layout.numbers[item] for _, item in items],
            [at for at, _ in items],
            [source for source, _ in encoded],
            [target for _, target in encoded],
        )
        return cls(*(np.array(column, dtype=np.intp) for column in columns))

    def write(self, numbers: NDArray[np.float64], features: NDArray[np.float64], design: NDArray[np.float32]) -> None:
        """Write numbers [n, all] to the features and, as float32 with NaN for missing, to the design matrix."""
        features[:, self.features] = numbers.take(self.numbers, axis=1)
        with np.errstate(over="ignore"):  # beyond float32 is infinite, hence missing
            encoded = numbers.take(self.encoded_from, axis=1).astype(np.float32)
        encoded[~np.isfinite(encoded)] = np.nan
        design[:, self.encoded_to] = encoded


def _empty(definition: Definition) -> float:
    """Return the value of a feature of no rows; NaN where it is missing."""
    value = aggregation(definition.primitive).empty if isinstance(definition, Aggregate) else None
    return np.nan if value is None else value
