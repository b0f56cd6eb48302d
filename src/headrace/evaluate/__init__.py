"""Splits that follow time, metrics with a direction, and the gate that decides a promotion."""
