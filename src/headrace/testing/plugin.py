"""The pytest plugin: rewrites assertions of the conformance suites, so that a failure shows the values it compared."""

from __future__ import annotations

import pytest

SUITES = ("searchers", "families", "drift_tests", "alert_channels", "engines", "primitives", "online_stores")

pytest.register_assert_rewrite(*(f"headrace.testing.{name}" for name in SUITES))
