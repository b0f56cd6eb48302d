"""Checks of production after the fact: served features against recomputed ones, one prediction's origin, certificates.

`skew` compares, `trace` explains one prediction, `certificate` writes one page about a model version. All of them read
the prediction log, the lake and the registry, and change none of them.
"""
