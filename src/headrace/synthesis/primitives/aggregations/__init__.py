"""Aggregation primitives, one file a family."""
