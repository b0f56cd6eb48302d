"""Order the transforms of a version into steps over columns of numbers, instants and texts; for `serving.inputs`.

A step computes all transforms of one primitive on one level: their inputs are stacked into one column per argument, so
that twelve differences of n rows are one call on 12 n values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core.clock import NEVER
from headrace.synthesis.language.definitions import Definition, Kind, RowColumn, Transform, row_columns, stored
from headrace.synthesis.primitives.catalogue import transform
from headrace.synthesis.transforms.transform import TransformPrimitive

#: What a feature depends on, besides the tick.
Source = Literal["stored", "times", "any"]

#: Kinds that are texts.
TEXT_KINDS: tuple[Kind, ...] = ("categorical", "text")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Values of n rows.

    Attributes:
        numbers: float64 [n, a], NaN is missing.
        instants: int64 [n, b], microseconds UTC, NEVER is missing.
        texts: For each column its values [n], None is missing.
    """

    numbers: NDArray[np.float64]
    instants: NDArray[np.int64]
    texts: list[list[Any]]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Position of each definition's values in `Columns`: stored features, request columns, transforms.

    Attributes:
        numbers, instants, texts: Definition -> position, by how its values are represented.
    """

    numbers: Mapping[Definition, int]
    instants: Mapping[Definition, int]
    texts: Mapping[Definition, int]

    @classmethod
    def of(cls, definitions: Sequence[Definition]) -> Layout:
        """Number the definitions and everything that they are made of."""
        every: tuple[Definition, ...] = (*stored(definitions), *row_columns(definitions), *_transforms(definitions))
        texts = [item for item in every if item.kind in TEXT_KINDS]
        instants = [item for item in every if item.kind == "time"]
        numbers = [item for item in every if item.kind not in (*TEXT_KINDS, "time")]
        numbered = ({item: at for at, item in enumerate(items)} for items in (numbers, instants, texts))
        first, second, third = numbered
        return cls(numbers=first, instants=second, texts=third)

    @property
    def n_numbers(self) -> int:
        return len(self.numbers)

    @property
    def n_texts(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class TransformStep:
    """Transforms of one primitive whose inputs are computed before.

    Attributes:
        primitive: The primitive.
        kinds: Kind of each argument.
        inputs: For each argument the positions of the inputs [k].
        outputs: Positions of the results [k].
        source: What the results depend on, besides the tick.
    """

    primitive: TransformPrimitive
    kinds: tuple[Kind, ...]
    inputs: tuple[NDArray[np.intp], ...]
    outputs: NDArray[np.intp]
    source: Source

    def apply(self, columns: Columns, tick_us: int) -> None:
        """Compute the step's results and write them into the columns."""
        n = len(columns.numbers)
        arguments = [_argument(columns, kind, at) for kind, at in zip(self.kinds, self.inputs, strict=True)]
        ticks = np.full(n * len(self.outputs), tick_us, dtype=np.int64)
        result = self.primitive.compute(arguments, ticks)
        if self.primitive.result in TEXT_KINDS:
            columns.texts[self.outputs[0]] = result.to_pylist()
        else:
            columns.numbers[:, self.outputs] = np.asarray(result, dtype=np.float64).reshape(n, len(self.outputs))


def _argument(columns: Columns, kind: Kind, positions: NDArray[np.intp]) -> Any:
    """Return the values of one argument, row after row, as transforms take them."""
    if kind in TEXT_KINDS:
        return pa.array(columns.texts[positions[0]], pa.string())
    source = columns.instants if kind == "time" else columns.numbers
    return source.take(positions, axis=1).ravel()


def transform_steps(definitions: Sequence[Definition], layout: Layout) -> tuple[TransformStep, ...]:
    """Return the steps that compute all transforms of the definitions, in order."""
    groups: dict[tuple[Any, ...], list[Transform]] = {}
    for item in _transforms(definitions):
        kinds = tuple(source.kind for source in item.inputs)
        alone = item if any(kind in TEXT_KINDS for kind in (*kinds, item.kind)) else None
        groups.setdefault((_level(item), item.primitive, kinds, alone, source_of(item)), []).append(item)
    ordered = sorted(groups.items(), key=lambda group: group[0][0])
    return tuple(_step(items, kinds, layout, source) for (_, _, kinds, _, source), items in ordered)


def source_of(item: Definition) -> Source:
    """Return what a feature depends on, besides the tick: stored values, times of the request, or anything else.

    Texts are anything else: their values are not arrays of numbers.
    """
    if item.kind in TEXT_KINDS:
        return "any"
    if isinstance(item, RowColumn):
        return "times" if item.kind == "time" else "any"
    if not isinstance(item, Transform):
        return "stored"
    sources = {source_of(own) for own in item.inputs}
    return sources.pop() if len(sources) == 1 else "any"


def _step(items: Sequence[Transform], kinds: tuple[Kind, ...], layout: Layout, source: Source) -> TransformStep:
    inputs = tuple(
        np.array([_positions(layout, kind)[item.inputs[argument]] for item in items], dtype=np.intp)
        for argument, kind in enumerate(kinds)
    )
    outputs = np.array([_positions(layout, items[0].kind)[item] for item in items], dtype=np.intp)
    return TransformStep(transform(items[0].primitive), kinds, inputs, outputs, source)


def _positions(layout: Layout, kind: Kind) -> Mapping[Definition, int]:
    return layout.texts if kind in TEXT_KINDS else layout.instants if kind == "time" else layout.numbers


def _transforms(definitions: Sequence[Definition]) -> list[Transform]:
    """Return all transforms, each once, those that others are made of first."""
    found: dict[Transform, None] = {}

    def collect(item: Definition) -> None:
        if isinstance(item, Transform):
            for source in item.inputs:
                collect(source)
            found[item] = None

    for definition in definitions:
        collect(definition)
    return list(found)


def _level(item: Definition) -> int:
    return 1 + max(map(_level, item.inputs)) if isinstance(item, Transform) else 0


def row_instants(request: Sequence[Mapping[str, Any]], names: Sequence[str]) -> NDArray[np.int64]:
    """Return instants [n, names] of request columns, NEVER where missing."""
    values = [[NEVER if row[name] is None else row[name] for name in names] for row in request]
    return np.array(values, dtype=np.int64).reshape(len(request), len(names))
