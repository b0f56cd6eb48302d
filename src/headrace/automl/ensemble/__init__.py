"""Ensembles of trials: selection out of fold, cost, calibration; pure functions on arrays."""
