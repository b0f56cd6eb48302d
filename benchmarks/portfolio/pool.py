"""The configurations of the matrix: the start list written by hand, then random ones of the joint space.

Random search over the joint space draws a family first, so every family has as many random configurations as any other.
The families take turns: a matrix that was cut off has complete columns and the same shares.
"""

from __future__ import annotations

import importlib.util
import os
import zlib

import numpy as np

from headrace.automl.families import TABLE_FAMILIES
from headrace.automl.task.task import Task
from headrace.automl.trials.space import written_starts
from headrace.models.space import Categorical, Choice, Config, Space
from headrace.search.space import sample

#: Families whose package is installed here.
FAMILIES = tuple(name for name, family in TABLE_FAMILIES.items() if importlib.util.find_spec(family.module))
#: Random configurations of each family.
RANDOM_EACH = int(os.environ.get("RANDOM_EACH", "13"))
_TASK = Task(kind="regression", metric="rmse")


def written() -> list[Config]:
    """Return the start list that was written by hand."""
    return [dict(config) for config in written_starts(FAMILIES)]


def random_configs(each: int = RANDOM_EACH) -> list[Config]:
    """Return random configurations; those of a larger `each` begin with those of a smaller one, and a
    new family changes none of the others.

    Parameters of the target are drawn too; a data set whose space does not have them ignores them.
    """
    generators = {family: np.random.default_rng(zlib.crc32(family.encode())) for family in FAMILIES}
    found = []
    for _ in range(each):
        for family, rng in generators.items():
            space = Space(
                {
                    "family": Choice({family: TABLE_FAMILIES[family].space(_TASK)}),
                    "target_scale": Categorical(("none", "log")),
                    "class_weight": Categorical(("none", "balanced")),
                }
            )
            found.append(sample(space, rng))
    return found


def pool() -> list[Config]:
    """Return all configurations, in the order in which they are evaluated."""
    return [*written(), *random_configs()]
