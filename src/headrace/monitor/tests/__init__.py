"""The catalogue of drift tests. A new one is a file here and a line below, and inherits the calibration suite."""

from __future__ import annotations

from headrace.monitor.samples import Kind
from headrace.monitor.tests.js import JS
from headrace.monitor.tests.kl import KL
from headrace.monitor.tests.ks import KS
from headrace.monitor.tests.missing import MISSING
from headrace.monitor.tests.protocol import DriftTest, Measure
from headrace.monitor.tests.psi import PSI
from headrace.monitor.tests.wasserstein import WASSERSTEIN

TESTS: dict[str, DriftTest] = {test.name: test for test in (KS, KL, PSI, JS, WASSERSTEIN)}

#: The tests that decide, unless others are asked for: KS sees shifts best, PSI changes of spread and shape.
DECIDING: dict[Kind, tuple[str, ...]] = {"numeric": ("ks", "psi"), "categorical": ("js",)}

__all__ = ["DECIDING", "MISSING", "TESTS", "DriftTest", "Measure"]
