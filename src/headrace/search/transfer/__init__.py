"""Searches that start from an earlier study: its best configs first, its trials as data of the surrogate."""
