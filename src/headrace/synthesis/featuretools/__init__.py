"""featuretools' features by their names, with featuretools' values where these are deterministic.

    features = [parse(problem, kinds, "customer", "MEAN(orders.amount)")]
    featuretools_matrix(problem, features, keys, snapshot, engine)

A name is parsed into our definitions (`names`), and a recipe says what makes them its value (`recipes`): another name,
a value for groups without rows, a unit. What featuretools' cutoff includes is a tick one microsecond later, and its
order of rows of one instant (by key) is applied to the snapshot (`values`). docs/features.md lists the features that
differ.
"""

from headrace.synthesis.featuretools.names import Feature, parse
from headrace.synthesis.featuretools.values import featuretools_matrix

__all__ = ["Feature", "featuretools_matrix", "parse"]
