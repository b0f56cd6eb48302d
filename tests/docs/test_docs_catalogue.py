"""The catalogue of primitives in docs/features.md is that of the code."""

from __future__ import annotations

from headrace.synthesis.primitives import AGGREGATIONS, TRANSFORMS
from headrace.synthesis.primitives.page import rewritten
from tests.docs.blocks import ROOT


def test_the_catalogue_is_that_of_the_code() -> None:
    text = (ROOT / "docs" / "features.md").read_text()
    assert text == rewritten(text), "run: python -m headrace.synthesis.primitives.page docs/features.md"
    assert all(f"| `{name}`" in text for name in (*AGGREGATIONS, *TRANSFORMS))
