"""The catalogue of drift tests. A new one is a file here and a line below, and inherits the calibration suite."""

from __future__ import annotations

from headrace.monitor.drift_tests.js import JS
from headrace.monitor.drift_tests.kl import KL
from headrace.monitor.drift_tests.ks import KS
from headrace.monitor.drift_tests.missing import MISSING
from headrace.monitor.drift_tests.protocol import DriftTest, Measure
from headrace.monitor.drift_tests.psi import PSI
from headrace.monitor.drift_tests.samples import Kind
from headrace.monitor.drift_tests.wasserstein import WASSERSTEIN

TESTS: dict[str, DriftTest] = {test.name: test for test in (KS, KL, PSI, JS, WASSERSTEIN)}

#: The tests that decide, unless others are asked for: KS sees shifts best, PSI changes of spread and shape.
DECIDING: dict[Kind, tuple[str, ...]] = {"numeric": ("ks", "psi"), "categorical": ("js",)}

__all__ = ["DECIDING", "MISSING", "TESTS", "DriftTest", "Measure"]
