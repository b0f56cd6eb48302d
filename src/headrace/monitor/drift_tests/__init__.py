"""The catalogue of drift tests: built-in ones, those of installed packages, those that a problem hands over.

A new built-in one is a file here and a line below. Each passes `headrace.testing.drift_tests`.
"""

from __future__ import annotations

from headrace.core.extensions import Catalogue
from headrace.monitor.drift_tests.js import JS
from headrace.monitor.drift_tests.kl import KL
from headrace.monitor.drift_tests.ks import KS
from headrace.monitor.drift_tests.missing import MISSING
from headrace.monitor.drift_tests.moments import MEAN, SPREAD
from headrace.monitor.drift_tests.protocol import DriftTest, Measure
from headrace.monitor.drift_tests.psi import PSI
from headrace.monitor.drift_tests.samples import Kind
from headrace.monitor.drift_tests.wasserstein import WASSERSTEIN

_BUILT_IN: tuple[DriftTest, ...] = (KS, KL, PSI, JS, WASSERSTEIN, MEAN, SPREAD)
TESTS: Catalogue[DriftTest] = Catalogue("drift_test", {test.name: test for test in _BUILT_IN})

#: The tests that decide by default: means detect shifts best, spread and PSI changes of spread and shape.
DEFAULT_TESTS: dict[Kind, tuple[str, ...]] = {"numeric": ("mean", "spread", "ks", "psi"), "categorical": ("js",)}

__all__ = ["DEFAULT_TESTS", "MISSING", "TESTS", "DriftTest", "Measure"]
