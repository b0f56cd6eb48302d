"""Estimates of a window before its labels come: performance, disagreement, attribution, label delay, and slices."""
