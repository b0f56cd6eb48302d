"""Aggregations over columns whose values never change after they become known: one sort, then scans."""
