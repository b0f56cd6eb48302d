"""Primitives from outside: one call puts them into the catalogue that engines read, and their twins into the oracle.

    register(AggregationFamily(name="max_to_mean", aggregations=(...), kernel=...))
    register(TransformPrimitive(name="decibel", ..., twin=...))

`primitives.catalogue` tells what they are made of. A primitive is registered once a process, before a problem names it.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.core.errors import DeclarationError
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Grouped, Transform
from headrace.synthesis.language.inputs import relative
from headrace.synthesis.oracle.aggregations import AGGREGATION_TWINS
from headrace.synthesis.oracle.transforms import TRANSFORM_TWINS
from headrace.synthesis.primitives.aggregation import AggregationFamily
from headrace.synthesis.primitives.catalogue import CATALOGUE
from headrace.synthesis.transforms.transform import TransformPrimitive


def register(primitive: AggregationFamily | TransformPrimitive) -> None:
    """Add a family of aggregations, or a transform, to the primitives of this process.

    The same object registered again changes nothing.

    Args:
        primitive: with its plain-Python twin; of a family each aggregation has one.

    Raises:
        DeclarationError: a twin is missing, or another primitive of the kind has the name.
    """
    if isinstance(primitive, TransformPrimitive):
        if primitive.twin is None:
            raise _without_twin(primitive.name, "[value or None, ...] and the tick in us")
        CATALOGUE.add_transform(primitive)
        TRANSFORM_TWINS[primitive.name] = primitive.twin
        return
    twins = {item.name: item.twin for item in primitive.aggregations if item.twin is not None}
    for item in primitive.aggregations:
        if item.name not in twins:
            raise _without_twin(item.name, "[(instant_us, value or None), ...]")
    CATALOGUE.add_family(primitive)
    AGGREGATION_TWINS.update(twins)


def add_twins(definition: Definition) -> None:
    """Give the oracle the twins of the primitives in a definition that problems or installed packages brought."""
    if isinstance(definition, Transform):
        if definition.primitive not in TRANSFORM_TWINS:
            register(CATALOGUE.transform(definition.primitive))
        below: Sequence[Definition] = definition.inputs
    elif isinstance(definition, Grouped):
        below = (definition.value,)
    elif isinstance(definition, Direct | Aggregate):
        if isinstance(definition, Aggregate) and definition.primitive not in AGGREGATION_TWINS:
            CATALOGUE.aggregation(definition.primitive)  # resolves an extension
            register(CATALOGUE.families[definition.primitive])
        below = relative(definition)
    else:
        below = ()
    for item in below:
        add_twins(item)


def _without_twin(name: str, inputs: str) -> DeclarationError:
    return DeclarationError(
        f"the primitive {name} has no twin for the oracle",
        where="primitives",
        fix=f"give it twin=, a plain Python function of {inputs}",
    )
