"""Time splits, metrics with a direction, the choice of a configuration, and the gate that decides a promotion."""
