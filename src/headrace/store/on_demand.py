"""Feast's on-demand view of a service: its request-time features, for clients that read through Feast.

A model's features are stored values and what is computed from them at a request: transforms of the request's own
columns, and times since stored instants. Serving computes these with `primitives.finish`; this view makes Feast call
the same function, so that `get_online_features` and `feast serve` return the same values.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headrace.core.errors import DeclarationError
from headrace.store.published import Published, service_name
from headrace.synthesis.language.definitions import Definition, Transform, from_json, row_columns, stored, to_json
from headrace.synthesis.primitives.finish import finish

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureView
    from feast.on_demand_feature_view import OnDemandFeatureView

#: The field of a request that names its cutoff, microseconds UTC.
CUTOFF = "cutoff_us"
#: Feast stores the source of a transformation, and runs it in any process that reads the view.
_SOURCE = """\
def finish_request(inputs):
    from headrace.store.on_demand import finished_inputs

    return finished_inputs(inputs, {definitions!r}, {tick_us})
"""


def on_demand_view(published: Published, service: str, views: dict[str, FeatureView]) -> OnDemandFeatureView:
    """Build the on-demand view of a service; apply it with `FeatureStore.apply`.

    Args:
        published: What is published for the problem.
        service: Name of the service.
        views: Feast's feature views by name, as registered.

    Returns:
        A view with one field per transform of the service. A request names its own columns (instants as microseconds
        UTC, conditions as 0 or 1) and `cutoff_us`.

    Raises:
        NotFoundError: The service is not published.
        DeclarationError: It computes nothing at a request.
    """
    from feast import Field, RequestSource
    from feast.on_demand_feature_view import OnDemandFeatureView
    from feast.transformation.pandas_transformation import PandasTransformation
    from feast.types import Float64, Int64, String

    transforms = [item for item in published.service(service) if isinstance(item, Transform)]
    if not transforms:
        raise DeclarationError("computes nothing at a request", where=f"{published.problem}: service {service}")
    name = f"{service_name(published.problem, service)}__at_request"
    kinds = {"time": Int64, "categorical": String, "text": String}
    own = {item.column: kinds.get(item.kind, Float64) for item in row_columns(transforms)}
    request = RequestSource(
        name=f"{name}_columns", schema=[Field(name=key, dtype=kind) for key, kind in {**own, CUTOFF: Int64}.items()]
    )
    columns: dict[str, list[str]] = {}
    for item in stored(transforms):
        view = next(view.name for view in published.views if view.entity == item.entity)
        columns.setdefault(view, []).append(item.slug)
    text = _SOURCE.format(definitions=json.dumps([to_json(item) for item in transforms]), tick_us=published.tick_us)
    scope: dict[str, Any] = {}
    exec(text, scope)
    return OnDemandFeatureView(
        name=name,
        sources=[*(views[view][slugs] for view, slugs in columns.items()), request],
        schema=[Field(name=item.slug, dtype=kinds.get(item.kind, Float64)) for item in transforms],
        feature_transformation=PandasTransformation(udf=scope["finish_request"], udf_string=text),
        mode="pandas",
        description=f"what service {service} of {published.problem} computes at a request",
        tags={"problem": published.problem},
    )


def finished_inputs(inputs: pd.DataFrame, definitions: str, tick_us: int) -> pd.DataFrame:
    """Compute transforms from the columns that Feast hands to an on-demand view.

    Args:
        inputs: Stored features by slug, the request's columns and `cutoff_us` [n rows].
        definitions: JSON of the transforms.
        tick_us: The problem's tick.

    Returns:
        One column per transform, named by its slug [n rows].
    """
    transforms: list[Definition] = [from_json(item) for item in json.loads(definitions)]
    cutoffs = inputs[CUTOFF].to_numpy(dtype=np.int64)
    values = {item.slug: _column(inputs[item.slug], item) for item in stored(transforms)}
    own = {item.column: _column(inputs[item.column], item) for item in row_columns(transforms)}
    result: pd.DataFrame = finish(transforms, values, own, cutoffs - cutoffs % tick_us, cutoffs).to_pandas()
    return result


def _column(values: pd.Series[Any], definition: Definition) -> pa.Array:
    """Return a column as Arrow with nulls; pandas holds whole numbers with missing ones as floats."""
    kinds = {"time": pa.int64(), "categorical": pa.string(), "text": pa.string()}
    array = pa.array(values, from_pandas=True)
    return array.cast(kinds.get(definition.kind, pa.float64()))
