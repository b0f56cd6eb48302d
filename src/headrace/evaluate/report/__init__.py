"""The report of a model version: quality on the gate window, features in words, windows, and what was tried."""
