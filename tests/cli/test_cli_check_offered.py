"""`headrace check` says how many features would be tried, what the cap cuts, and what going up and down would cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.synthesis.candidates import across
from tests.cli.command import headrace
from tests.tiny_problem import write_tiny_problem

SHOPS = """
shops = Table(name="shops", key="channel", source="shops.csv")
orders = Table("""
SECOND = 'Relationship("customers.customer_id", "orders.customer_id"), Relationship("shops.channel", "orders.channel"),'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The tiny problem with a second parent of its orders, so that paths go up to it and down again."""
    path = write_tiny_problem(tmp_path, orders=60)
    (tmp_path / "shops.csv").write_text("channel,size\nweb,1\nshop,2\nphone,3\n")
    text = path.read_text()
    for old, new in (
        ("\norders = Table(", SHOPS),
        ("(customers, orders)", "(customers, shops, orders)"),
        ('Relationship("customers.customer_id", "orders.customer_id"),', SECOND),
        ("    lookbacks=", "    depth=2,\n    max_candidates=30,\n    lookbacks="),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def test_the_cap_and_the_estimate_are_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = headrace("check", str(path), home=path.parent)
    assert outcome.code == 0
    assert "30 candidate features (" in outcome.out
    assert "more are cut by max_candidates=30)" in outcome.out
    assert "go up and down again, for which up to 144 rows are asked each" in outcome.out
    assert "left out" not in outcome.out
    monkeypatch.setattr(across, "MOST_PAIRS", 1)
    said = headrace("check", str(path), home=path.parent).out
    assert "are left out, for they would ask more than 1, as " in said


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_primitive_that_is_none_is_told_before_anything_runs(path: Path, command: str) -> None:
    text = path.read_text()
    path.write_text(text.replace("    depth=2,", '    primitives=("tend",),\n    depth=2,'))
    outcome = headrace(command, str(path), home=path.parent / "home")
    assert outcome.code == 1
    assert "primitives: no primitive 'tend'" in outcome.out + outcome.err
    assert not (path.parent / "home" / "lake").exists()
