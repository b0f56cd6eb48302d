"""The catalogue of primitives: every primitive by its name, and the kernels that compute aggregations.

A built-in family is one file under `aggregations` or `transforms` (declarations and kernel) and one line in the tuples
below; its plain-Python twin is a file under `synthesis.oracle`. A family from outside is an object, and needs no change
here:

    RATIO = AggregationFamily(
        name="max_to_mean",
        aggregations=(Aggregation(name="max_to_mean", description="their maximum / mean", inputs=NUMBER, twin=f),),
        kernel=compute,  # (LookbackRanges, names) -> {name: values [m]}
    )
    Problem(primitives=(RATIO,), ...)

or an entry point `max_to_mean` of an installed package (group headrace.primitives). A name that is not built in is
looked up among those (`core.extensions`) when it is first used, in whatever process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy.typing as npt

from headrace.core import extensions
from headrace.core.errors import DeclarationError
from headrace.schema import Problem
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
from headrace.synthesis.primitives.aggregations.recent import RECENT
from headrace.synthesis.primitives.aggregations.steps import STEPS
from headrace.synthesis.primitives.aggregations.sums import SUMS
from headrace.synthesis.primitives.aggregations.trend import TREND
from headrace.synthesis.primitives.aggregations.truths import TRUTHS
from headrace.synthesis.primitives.entries import Entries, LookbackRanges
from headrace.synthesis.transforms.arithmetic import ARITHMETIC
from headrace.synthesis.transforms.calendar import CALENDAR
from headrace.synthesis.transforms.compare import COMPARE
from headrace.synthesis.transforms.elapsed import ELAPSED
from headrace.synthesis.transforms.hashed_words import HASHED_WORDS
from headrace.synthesis.transforms.numeric import NUMERIC
from headrace.synthesis.transforms.place import PLACE
from headrace.synthesis.transforms.text import TEXTS
from headrace.synthesis.transforms.transform import TransformPrimitive

T = TypeVar("T")

#: Built-in aggregations, one line a family.
AGGREGATION_FAMILIES: tuple[AggregationFamily, ...] = (
    SUMS,
    MOMENTS,
    EXTREMES,
    POSITIONS,
    RECENT,
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
    HASHED_WORDS,
)


#: Families and transforms that problems hand over and installed packages bring, by each primitive's name.
EXTENSIONS: extensions.Catalogue[AggregationFamily | TransformPrimitive] = extensions.Catalogue("primitive", {})


class _ByName(dict[str, T]):
    """Members by name; one that is missing is looked up among the extensions first."""

    def __init__(self, resolve: Callable[[str], bool]) -> None:
        super().__init__()
        self._resolve = resolve

    def __missing__(self, name: str) -> T:
        if self._resolve(name) and name in self:
            return self[name]
        raise KeyError(name)


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
        self.aggregations: dict[str, Aggregation] = _ByName(self.resolve)
        self.transforms: dict[str, TransformPrimitive] = _ByName(self.resolve)
        self.families: dict[str, AggregationFamily] = _ByName(self.resolve)
        self._added: dict[str, AggregationFamily | TransformPrimitive] = {}
        for family in families:
            self.add_family(family)
        for group in transforms:
            for transform in group:
                self.add_transform(transform)

    def resolve(self, name: str) -> bool:
        """Add the primitive of that name where a problem or an installed package has it; whether one has.

        An edited problem file that is loaded again gives another object, which takes the place of the first.

        Raises:
            DeclarationError: a built-in primitive has the name, or two sources give it.
        """
        if name not in EXTENSIONS:
            return False
        primitive = EXTENSIONS.named(name, where="primitives")
        old = self._added.get(name)
        if old is primitive:
            return True
        if old is not None:
            self.remove(old)
        if isinstance(primitive, TransformPrimitive):
            self.add_transform(primitive)
        else:
            self.add_family(primitive)
        self._added.update(dict.fromkeys(extensions.names(primitive), primitive))
        return True

    def remove(self, extension: AggregationFamily | TransformPrimitive) -> None:
        """Take an extension's primitives out again; nothing where they are not there."""
        for name in extensions.names(extension):
            self._added.pop(name, None)
            for members in (self.aggregations, self.families, self.transforms):
                members.pop(name, None)

    def extension_code(self, problem: Problem) -> dict[str, str]:
        """Primitive -> digest of its code, of all that a problem asks for and that are not built in."""
        label = getattr(problem.label_expression, "primitive", "")
        seeds = (name for text in problem.seed_features for name in re.findall(r"(\w+)\(", text))
        names = dict.fromkeys((*problem.primitives, *([label] if label else ()), *map(str.lower, seeds)))
        for name in names:
            if name not in self.aggregations and name not in self.transforms:
                self.resolve(name)
        return {name: EXTENSIONS.code(name) for name in names if name in self._added}

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
        if name not in self.aggregations and not (self.resolve(name) and name in self.aggregations):
            raise DeclarationError(f"no aggregation primitive {name!r}", found=self.aggregations)
        return self.aggregations[name]

    def transform(self, name: str) -> TransformPrimitive:
        """The transform of that name. Raises DeclarationError where there is none."""
        if name not in self.transforms and not (self.resolve(name) and name in self.transforms):
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
