"""Errors, time arithmetic, fingerprints, atomic files, settings: what every room may use."""
