"""The catalogue of primitives: every primitive by its name, and the kernels that compute aggregations.

A built-in family is one file under `aggregations` or `transforms` (declarations and kernel) and one line in the tuples
below; its plain-Python twin is a file under `synthesis.oracle`. A family from outside is an object, and needs no change
here:

    RATIO = AggregationFamily(
        name="max_to_mean",
        aggregations=(Aggregation(name="max_to_mean", description="their maximum / mean", inputs=NUMBER, twin=f),),
        kernel=compute,  # (LookbackRanges, names) -> {name: values [m]}
    )
    synthesis.extensions.register(RATIO)  # into this catalogue, its twin into the oracle

Afterwards `problem.primitives` may name it, and engines, oracle and explanations know it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy.typing as npt

from headrace.core.errors import DeclarationError
from headrace.synthesis.language.values import Ints
from headrace.synthesis.primitives.aggregation import Aggregation, AggregationFamily
from headrace.synthesis.primitives.aggregations.categories import CATEGORIES
from headrace.synthesis.primitives.aggregations.days import DAYS
from headrace.synthesis.primitives.aggregations.decay import DECAY
from headrace.synthesis.primitives.aggregations.extremes import EXTREMES
from headrace.synthesis.primitives.aggregations.gaps import GAPS
from headrace.synthesis.primitives.aggregations.moments import MOMENTS
from headrace.synthesis.primitives.aggregations.order import ORDER
from headrace.synthesis.primitives.aggregations.positions import POSITIONS
from headrace.synthesis.primitives.aggregations.steps import STEPS
from headrace.synthesis.primitives.aggregations.sums import SUMS
from headrace.synthesis.primitives.aggregations.trend import TREND
from headrace.synthesis.primitives.aggregations.truths import TRUTHS
from headrace.synthesis.primitives.entries import Entries, LookbackRanges
from headrace.synthesis.primitives.transform import TransformPrimitive
from headrace.synthesis.primitives.transforms.arithmetic import ARITHMETIC
from headrace.synthesis.primitives.transforms.calendar import CALENDAR
from headrace.synthesis.primitives.transforms.compare import COMPARE
from headrace.synthesis.primitives.transforms.elapsed import ELAPSED
from headrace.synthesis.primitives.transforms.numeric import NUMERIC
from headrace.synthesis.primitives.transforms.place import PLACE
from headrace.synthesis.primitives.transforms.text import TEXTS

#: Built-in aggregations, one line a family.
AGGREGATION_FAMILIES: tuple[AggregationFamily, ...] = (
    SUMS,
    MOMENTS,
    EXTREMES,
    POSITIONS,
    ORDER,
    CATEGORIES,
    TRUTHS,
    GAPS,
    STEPS,
    DAYS,
    DECAY,
    TREND,
)
#: Built-in transforms, one line a family.
TRANSFORM_FAMILIES: tuple[tuple[TransformPrimitive, ...], ...] = (
    CALENDAR,
    ELAPSED,
    NUMERIC,
    ARITHMETIC,
    COMPARE,
    PLACE,
    TEXTS,
)


class Catalogue:
    """Primitives by name, built from families.

    Attributes:
        aggregations: every aggregation by name, in the order of the families.
        transforms: every transform by name.
        families: the family of each aggregation, by the aggregation's name.
    """

    def __init__(
        self, families: Iterable[AggregationFamily] = (), transforms: Iterable[Sequence[TransformPrimitive]] = ()
    ) -> None:
        self.aggregations: dict[str, Aggregation] = {}
        self.transforms: dict[str, TransformPrimitive] = {}
        self.families: dict[str, AggregationFamily] = {}
        for family in families:
            self.add_family(family)
        for group in transforms:
            for transform in group:
                self.add_transform(transform)

    def add_family(self, family: AggregationFamily) -> None:
        """Add the aggregations of a family. The same family added again changes nothing.

        Raises:
            DeclarationError: another aggregation has the name already.
        """
        for item in family.aggregations:
            if self.families.get(item.name, family) is not family:
                raise _taken("aggregation", item.name)
        for item in family.aggregations:
            self.aggregations[item.name] = item
            self.families[item.name] = family

    def add_transform(self, transform: TransformPrimitive) -> None:
        """Add a transform. The same one added again changes nothing.

        Raises:
            DeclarationError: another transform has the name already.
        """
        if self.transforms.get(transform.name, transform) is not transform:
            raise _taken("transform", transform.name)
        self.transforms[transform.name] = transform

    def aggregation(self, name: str) -> Aggregation:
        """The aggregation of that name. Raises DeclarationError where there is none."""
        if name not in self.aggregations:
            raise DeclarationError(f"no aggregation primitive {name!r}", found=self.aggregations)
        return self.aggregations[name]

    def transform(self, name: str) -> TransformPrimitive:
        """The transform of that name. Raises DeclarationError where there is none."""
        if name not in self.transforms:
            raise DeclarationError(f"no transform primitive {name!r}", found=self.transforms)
        return self.transforms[name]


def _taken(kind: str, name: str) -> DeclarationError:
    return DeclarationError(
        f"there is another {kind} primitive {name!r}", where="primitives", fix="give yours a name of its own"
    )


#: The catalogue of this process.
CATALOGUE = Catalogue(AGGREGATION_FAMILIES, TRANSFORM_FAMILIES)
AGGREGATIONS, TRANSFORMS = CATALOGUE.aggregations, CATALOGUE.transforms
aggregation, transform = CATALOGUE.aggregation, CATALOGUE.transform


def aggregate(
    entries: Entries, lo: Ints, hi: Ints, names: Iterable[str], mid: Ints | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Some aggregations over ranges of entries.

    Args:
        entries: the entries of one column [n].
        lo: first position of each range [m].
        hi: end of each range [m].
        names: which aggregations.
        mid: border of each range [m], see `LookbackRanges`.

    Returns:
        Name -> values [m], or [m, outputs] of an aggregation with several; see `Kernel` for their types.
    """
    ranges = LookbackRanges(entries=entries, lo_all=lo, hi_all=hi, mid_all=mid)
    by_family: dict[str, list[str]] = {}
    for name in names:
        by_family.setdefault(CATALOGUE.families[name].name, []).append(name)
    result: dict[str, npt.NDArray[Any]] = {}
    for members in by_family.values():
        result.update(CATALOGUE.families[members[0]].kernel(ranges, frozenset(members)))
    for name, values in result.items():
        empty = AGGREGATIONS[name].empty
        if empty is not None:
            values[ranges.hi <= ranges.lo] = empty
    return result
