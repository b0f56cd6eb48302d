"""Primitives from outside: one call puts a family into the catalogue that engines read and its twins into the oracle.

    register(AggregationFamily(name="max_to_mean", aggregations=(...), kernel=...))

`primitives.catalogue` tells what a family is made of. A family is registered once a process, before a problem names it.
"""

from __future__ import annotations

from headrace.core.errors import DeclarationError
from headrace.synthesis.oracle.aggregations import AGGREGATION_TWINS
from headrace.synthesis.primitives.aggregation import AggregationFamily
from headrace.synthesis.primitives.catalogue import CATALOGUE


def register(family: AggregationFamily) -> None:
    """Add a family of aggregations to the primitives of this process; the same family again changes nothing.

    Args:
        family: declarations, each with its plain-Python twin, and the kernel.

    Raises:
        DeclarationError: a declaration has no twin, or another aggregation has its name.
    """
    twins = {item.name: item.twin for item in family.aggregations}
    lonely = [name for name, twin in twins.items() if twin is None]
    if lonely:
        raise DeclarationError(
            f"{', '.join(lonely)} without a twin for the oracle",
            where=f"primitives: {family.name}",
            fix="give Aggregation(twin=...) a plain function of [(instant_us, value or None), ...]",
        )
    CATALOGUE.add_family(family)
    AGGREGATION_TWINS.update({name: twin for name, twin in twins.items() if twin is not None})
