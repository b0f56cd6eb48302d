"""The feature matrix of spine rows, read through the feature store, for training, the gate and scoring."""

from __future__ import annotations

import pyarrow as pa

from headrace.pipeline.context import Context
from headrace.synthesis.language.definitions import Definition, stored
from headrace.synthesis.primitives.finish import finish


def feature_matrix(context: Context, service: str, definitions: tuple[Definition, ...], spine: pa.Table) -> pa.Table:
    """Read the model's input for spine rows through the store.

    Args:
        context: of the run.
        service: the feature service that holds the stored features.
        definitions: the features, in the order of the columns.
        spine: [n rows], with join keys, `cutoff` and `tick` (us).

    Returns:
        [n rows, one column per definition].
    """
    from headrace.store.training import training_features

    read = training_features(context.root, context.problem, service, spine)
    values = {item.slug: read[item.slug] for item in stored(definitions)}
    row = {name: spine[name] for name in spine.column_names}
    return finish(definitions, values, row, spine["tick"].to_numpy(), spine["cutoff"].to_numpy())
