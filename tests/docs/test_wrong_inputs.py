"""Each wrong input of docs/wrong-inputs.md is answered as the page says, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.wrong_input_cases import CASES
from tests.docs.wrong_inputs import BEGIN, END, PAGE, Wrong, answers, row_of


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.group}: {case.what}")
def test_a_wrong_input_is_answered_as_the_page_says(case: Wrong, tmp_path: Path) -> None:
    told = answers(case, tmp_path)
    assert len(told) == case.lines, told
    assert row_of(case, told) in PAGE.read_text().splitlines(), "run `make wrong-inputs`"


def test_the_page_has_a_row_for_every_case() -> None:
    made = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    rows = [line for line in made.splitlines() if line.startswith("| ") and not line.startswith("| what is wrong")]
    assert len(rows) == len(CASES) >= 60
