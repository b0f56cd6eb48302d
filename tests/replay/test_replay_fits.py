"""Candidates of a replay: each fitted once, from what was known, and resumed after a kill; shuffled rows; worth."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.core.clock import DAY
from headrace.evaluate.metrics import Floats
from headrace.monitor.worth.days import day_losses
from headrace.monitor.worth.worth import worth
from headrace.replay.evidence import Evidence
from headrace.replay.rows import shuffled
from headrace.schema import Worth
from tests.replay.small_rows import PLAN, PROBLEM, candidates, small_rows


def test_a_killed_replay_goes_on_and_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "tests.replay.small_rows", str(tmp_path / "killed"), "4"]
    assert subprocess.run(command, cwd=root, check=False).returncode == -signal.SIGKILL
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == [f"model-{n:03d}.npz" for n in range(3)]
    fitted: list[str] = []
    resumed = candidates(tmp_path / "killed", fitted=fitted)
    assert fitted == [f"candidate {number} of 8" for number in range(4, 9)]
    whole = candidates(tmp_path / "whole")
    np.testing.assert_array_equal(resumed.table.predictions, whole.table.predictions)
    np.testing.assert_array_equal(resumed.table.loss, whole.table.loss)


def test_a_damaged_candidate_is_fitted_again(tmp_path: Path) -> None:
    whole = candidates(tmp_path)
    path = tmp_path / "model-002.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(bytes(content))
    fitted: list[str] = []
    again = candidates(tmp_path, fitted=fitted)
    assert fitted == ["candidate 3 of 8"]
    np.testing.assert_array_equal(again.table.predictions, whole.table.predictions)


def test_a_candidate_learns_from_what_was_known_and_predicts_what_comes(tmp_path: Path) -> None:
    rows, found = small_rows(), candidates(tmp_path)
    table = found.table
    for model, instant in enumerate(table.instants_us[:-1]):
        assert table.trained_rows[model] == ((rows.known_us < instant) & (rows.cutoffs_us < instant)).sum()
        np.testing.assert_array_equal(np.isfinite(table.predictions[model]), table.cutoffs_us >= instant)
    assert table.loss[table.first, -1] > table.loss[-1, -1]  # the slope has turned


def test_shuffled_rows_keep_their_labels_and_lose_their_order() -> None:
    rows = small_rows()
    mixed = shuffled(rows, seed=1)
    pairs = set(zip(rows.matrix["x"].to_pylist(), rows.label.tolist(), strict=True))
    assert set(zip(mixed.matrix["x"].to_pylist(), mixed.label.tolist(), strict=True)) == pairs
    early, late = mixed.cutoffs_us < 51 * DAY, mixed.cutoffs_us >= 51 * DAY

    def slope(part: Any) -> float:
        return float(np.polyfit(np.array(mixed.matrix["x"])[part], mixed.label[part], 1)[0])

    assert slope(early) == pytest.approx(slope(late), abs=0.1)


def test_worth_compares_each_row_with_the_newest_shadow_fitted_before_it(tmp_path: Path) -> None:
    found = candidates(tmp_path)
    table, rules, champion, period = found.table, Worth(window="21d"), 2, 6
    end = int(table.instants_us[period + 1])
    ours: list[float] = []
    theirs: list[float] = []
    cutoffs = []
    for row, cutoff in enumerate(table.cutoffs_us):
        newest = int(np.searchsorted(table.instants_us, cutoff, side="right")) - 1
        if end - 21 * DAY <= cutoff < end and table.known_us[row] < end and newest > champion:
            ours.append(_loss(table.label[row], table.predictions[champion, row]))
            theirs.append(_loss(table.label[row], table.predictions[newest, row]))
            cutoffs.append(cutoff)
    expected = worth(day_losses(np.array(ours), np.array(theirs), np.array(cutoffs)), rules, end_us=end)
    evidence = Evidence(problem=PROBLEM, plan=PLAN, rows=small_rows(), candidates=found)
    measured = evidence.worth(champion, period, rules)
    assert measured is not None
    assert (measured.rows, measured.days, measured.verdict) == (expected.rows, expected.days, expected.verdict)
    assert measured.gain == pytest.approx(expected.gain, rel=1e-5)


def _loss(label: float, predicted: Floats) -> float:
    return float((label - float(predicted)) ** 2)
