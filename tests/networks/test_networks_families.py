"""Every network family passes the conformance suite of the pipeline's families."""

from __future__ import annotations

import pytest

from headrace.models.families import Family, get_family
from headrace.networks.families import pipeline
from headrace.testing.families import FamilyConformance

pytestmark = pytest.mark.neural


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite trains until the last round."""
    monkeypatch.setattr(pipeline, "MAX_ROUNDS", 70)


class TestMlp(FamilyConformance):
    @pytest.fixture
    def family(self) -> Family:
        return get_family("mlp")


class TestTabM(FamilyConformance):
    @pytest.fixture
    def family(self) -> Family:
        return get_family("tabm")


class TestTabNet(FamilyConformance):
    @pytest.fixture
    def family(self) -> Family:
        return get_family("tabnet")
