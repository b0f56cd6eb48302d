"""Primitives: what aggregates, transforms and running values compute, and the kernels; `catalogue` lists them."""

from headrace.synthesis.primitives.aggregation import Aggregation, AggregationFamily
from headrace.synthesis.primitives.catalogue import AGGREGATIONS, TRANSFORMS, aggregation, transform
from headrace.synthesis.transforms.transform import TransformPrimitive

__all__ = [
    "AGGREGATIONS",
    "TRANSFORMS",
    "Aggregation",
    "AggregationFamily",
    "TransformPrimitive",
    "aggregation",
    "transform",
]
