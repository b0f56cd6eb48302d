"""Engines that compute stored definitions. Each is one file (or a few) here."""

from headrace.synthesis.engines.local import LocalEngine

__all__ = ["LocalEngine"]
