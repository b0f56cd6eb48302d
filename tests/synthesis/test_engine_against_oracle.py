"""The local engine passes the conformance suite of engines."""

from __future__ import annotations

import pytest

from headrace.synthesis.engines import LocalEngine
from headrace.testing.engines import EngineConformance


class TestLocalEngine(EngineConformance):
    @pytest.fixture
    def engine(self) -> LocalEngine:
        return LocalEngine()
