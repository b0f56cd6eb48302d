"""Aggregations over values that change with time: aggregates, parents, groups, running values."""
