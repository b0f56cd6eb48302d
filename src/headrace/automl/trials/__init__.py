"""Trials: the joint space, the start list, and the objective that cross-validates a configuration."""
