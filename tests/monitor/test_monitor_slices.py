"""Slices, attribution, label delay and disagreement: what was planted is found, and plain twins agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import DAY, HOUR
from headrace.monitor.estimates.attribution import attribution_drift, ndcg
from headrace.monitor.estimates.delay import expected_share, kaplan_meier, label_delay
from headrace.monitor.estimates.disagreement import disagreement
from headrace.monitor.estimates.expected import COST
from headrace.monitor.estimates.performance import PerformanceEstimate
from headrace.monitor.estimates.slices import (
    MISSING,
    OTHER,
    SlicedColumn,
    holm,
    shift_cost,
    slice_categories,
    slice_numbers,
    worse_since,
    worse_slices,
)
from headrace.monitor.estimates.window import WindowEstimates


def days(count: int, rows: int) -> np.ndarray:
    return np.repeat(np.arange(count), rows) * DAY


def test_numbers_are_cut_at_the_quartiles_of_the_reference() -> None:
    reference = np.concatenate([np.arange(200.0), [np.nan]])
    sliced = slice_numbers(reference, np.array([-1.0, 1e9, np.nan, 60.0]))
    assert sliced.labels[-1] == MISSING
    assert [sliced.labels[code] for code in sliced.current] == [
        "below 49.75",
        "149.2 or more",
        MISSING,
        "49.75 to 99.5",
    ]
    assert len(slice_numbers(np.arange(40.0), np.arange(3.0)).labels) == 3  # halves, and missing
    assert slice_numbers(np.ones(50), np.array([2.0])).labels == ("any", MISSING)


def test_rare_categories_are_one_slice() -> None:
    sliced = slice_categories([f"c{i % 40}" for i in range(400)], [None, "new", "c1"])
    assert len(sliced.labels) == 22
    assert [sliced.labels[code] for code in sliced.current][:2] == [MISSING, OTHER]


def planted(rng: np.random.Generator, extra: float) -> tuple[dict[str, SlicedColumn], np.ndarray, np.ndarray]:
    columns = {
        name: SlicedColumn(labels=("a", "b", "c"), reference=rng.integers(0, 3, 1400), current=rng.integers(0, 3, 700))
        for name in ("one", "two", "three")
    }
    shocks = rng.normal(0, 0.1, 21)
    before = rng.exponential(0.5, 1400) + np.repeat(shocks[:14], 100)
    now = rng.exponential(0.5, 700) + np.repeat(shocks[14:], 100)
    now += extra * (columns["two"].current == 1)
    return columns, before, now


def test_the_slice_that_got_worse_is_found_and_hardly_any_other() -> None:
    rng, false, found = np.random.default_rng(0), 0, 0
    for _ in range(60):
        columns, before, now = planted(rng, 0.0)
        false += bool(worse_slices(columns, before, days(14, 100), now, days(7, 100)))
        columns, before, now = planted(rng, 0.6)
        (worst, *_) = worse_slices(columns, before, days(14, 100), now, days(7, 100)) or (None,)
        found += worst is not None and worst.name == "two = b"
    assert false <= 2
    assert found >= 57


def test_slices_of_the_same_rows_are_one() -> None:
    rng = np.random.default_rng(1)
    codes = [np.repeat(["AA", "BB"], 700)[rng.permutation(1400)] for _ in range(2)]
    before, now = (rng.exponential(1, 1400) + 2.0 * side * (one == "BB") for side, one in enumerate(codes))
    names = {"AA": "American", "BB": "Blue"}
    columns = {
        "code": slice_categories(*(list(one) for one in codes)),
        "name": slice_categories(*([names[text] for text in one] for one in codes)),
    }
    cutoffs = np.arange(1400) * DAY // 100
    (worst, *others) = worse_slices(columns, before, cutoffs, now, cutoffs)
    assert (worst.name, worst.same_rows, others) == ("code = BB", ("name = Blue",), [])
    alone = worse_slices({"code": columns["code"]}, before, cutoffs, now, cutoffs)
    assert alone[0].p_value == worst.p_value, "a second name is no second test"


def test_immature_rows_and_small_slices_do_not_count() -> None:
    rng = np.random.default_rng(1)
    columns, before, now = planted(rng, 3.0)
    now[columns["two"].current == 1] = np.nan
    assert all(one.name != "two = b" for one in worse_slices(columns, before, days(14, 100), now, days(7, 100)))
    few = {"two": SlicedColumn(labels=("a", "b"), reference=np.zeros(1400, int), current=np.ones(700, int))}
    assert worse_slices(few, before, days(14, 100), now, days(7, 100)) == ()


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_equals_its_definition(p_values: list[float]) -> None:
    ordered = sorted(p_values)
    for p, adjusted in zip(p_values, holm(p_values), strict=True):
        steps = [min(1.0, one * (len(ordered) - rank)) for rank, one in enumerate(ordered) if one <= p]
        assert adjusted == pytest.approx(max(steps))


@settings(max_examples=60)
@given(st.lists(st.floats(-2, 3), min_size=2, max_size=12), st.integers(1, 3))
def test_since_is_the_most_likely_day_of_change(means: list[float], rows: int) -> None:
    loss = np.repeat(np.round(means, 3), rows)
    found = worse_since(loss, days(len(means), rows), 0.0)
    ratios = {
        day: (rows * sum(np.round(means, 3)[day:])) ** 2 / (rows * (len(means) - day)) for day in range(len(means))
    }
    positive = {day: ratio for day, ratio in ratios.items() if sum(np.round(means, 3)[day:]) > 1e-9}
    if found is None:
        assert not positive
    elif positive:
        assert positive.get(found // DAY, 0.0) == pytest.approx(max(positive.values()), rel=1e-6, abs=1e-9)


def test_since_finds_a_planted_day() -> None:
    rng = np.random.default_rng(2)
    loss = rng.exponential(0.5, 35 * 20) + 0.6 * (days(35, 20) >= 24 * DAY)
    assert abs(int(worse_since(loss, days(35, 20), 0.5) or 0) - 24 * DAY) <= DAY


@given(st.lists(st.integers(0, 2), min_size=5, max_size=40), st.lists(st.integers(0, 2), min_size=5, max_size=40))
def test_the_cost_of_a_shift_equals_its_plain_twin(before: list[int], now: list[int]) -> None:
    loss = np.arange(len(before)) % 7 / 7
    sliced = SlicedColumn(labels=("a", "b", "c"), reference=np.array(before), current=np.array(now))
    expected = 0.0
    for code in range(3):
        inside = [value for value, one in zip(loss, before, strict=True) if one == code]
        mean = np.mean(inside) if inside else loss.mean()
        expected += (now.count(code) / len(now) - before.count(code) / len(before)) * mean
    assert shift_cost(sliced, loss)[0] == pytest.approx(expected)


def test_without_a_shift_there_is_no_cost_beyond_its_error() -> None:
    rng, far = np.random.default_rng(3), 0
    for _ in range(100):
        sliced = SlicedColumn(labels=("a", "b"), reference=rng.integers(0, 2, 800), current=rng.integers(0, 2, 400))
        cost, error = shift_cost(sliced, rng.exponential(1, 800) * (1 + sliced.reference))
        far += abs(cost) > 2 * error
    assert far <= 12


# -- label delay


def product_limit(delays: list[int], arrived: list[bool], at: float) -> float:
    survival = 1.0
    for time in sorted({delay for delay, came in zip(delays, arrived, strict=True) if came and delay <= at}):
        at_risk = sum(delay >= time for delay in delays)
        events = sum(delay == time and came for delay, came in zip(delays, arrived, strict=True))
        survival *= 1 - events / at_risk
    return survival


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=3, max_size=20), st.integers(0, 10))
def test_survival_is_the_product_limit(rows: list[tuple[int, bool]], at: int) -> None:
    delays, arrived = [delay for delay, _ in rows], [came for _, came in rows]
    found = kaplan_meier(np.array(delays, float), np.array(arrived))(np.array([float(at)]))[0]
    assert found == pytest.approx(product_limit(delays, arrived, at), abs=1e-12)


def test_a_window_matures_when_the_past_says() -> None:
    rng, now = np.random.default_rng(4), 40 * DAY
    cutoffs = rng.integers(0, now, 2000)
    arrivals = cutoffs + rng.integers(0, 4 * DAY, 2000)  # uniform over four days
    window = cutoffs >= now - 7 * DAY
    came = arrivals <= now
    found = label_delay(cutoffs, arrivals, cutoffs[window], came[window], now_us=now)
    assert found is not None
    assert found.matured == pytest.approx(came[window].mean())
    assert found.median_us == pytest.approx(2 * DAY, rel=0.1)
    assert found.missing == pytest.approx(0, abs=0.03)
    truth = np.quantile(arrivals[window], 0.95)
    assert found.complete_us == pytest.approx(truth, abs=10 * HOUR)


def test_labels_that_never_come_leave_the_window_incomplete() -> None:
    cutoffs = np.arange(400) * HOUR
    arrivals = np.where(np.arange(400) % 5 == 0, 10**18, cutoffs + DAY)
    found = label_delay(cutoffs, arrivals, cutoffs[-100:], (arrivals <= 400 * HOUR)[-100:], now_us=400 * HOUR)
    assert found is not None
    assert found.complete_us is None
    assert found.missing == pytest.approx(0.2, abs=0.03)
    assert label_delay(cutoffs[:9], arrivals[:9], cutoffs, arrivals < 0, now_us=400 * HOUR) is None


def test_the_expected_share_grows_with_time() -> None:
    survival = kaplan_meier(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4, bool))
    shares = [expected_share(survival, np.array([0, 0]), np.array([True, False]), 1, at) for at in range(1, 6)]
    assert shares == pytest.approx([0.5, 2 / 3, 5 / 6, 1.0, 1.0])


# -- attribution and disagreement


def contributions(rng: np.random.Generator, rows: int, sizes: np.ndarray) -> np.ndarray:
    return np.asarray(rng.normal(0, 1, (rows, len(sizes))) * sizes)


def test_a_feature_that_the_model_leans_on_more_is_found() -> None:
    rng, false = np.random.default_rng(5), 0
    sizes, names = np.linspace(0.1, 1, 10), [f"f{i}" for i in range(10)]
    blocks = np.repeat(np.arange(8), 60)
    for _ in range(30):
        reference = contributions(rng, 480, sizes)
        found = attribution_drift(names, reference, blocks, contributions(rng, 300, sizes))
        assert found is not None
        false += bool(found.shifts)
    assert false <= 1
    changed = sizes.copy()
    changed[2] *= 4
    found = attribution_drift(names, contributions(rng, 480, sizes), blocks, contributions(rng, 300, changed))
    assert found is not None
    assert found.shifts[0].name == "f2"
    assert found.ndcg < 1
    assert attribution_drift(names, contributions(rng, 90, sizes), blocks[:90], np.ones((5, 10))) is None


def test_ndcg_of_the_same_order_is_one() -> None:
    assert ndcg(np.array([3.0, 1.0, 2.0]), np.array([30.0, 1.0, 2.0])) == pytest.approx(1)
    assert ndcg(np.array([3.0, 1.0]), np.array([1.0, 2.0])) == pytest.approx(
        (1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3))
    )


def test_disagreement_of_champion_and_shadow() -> None:
    rng = np.random.default_rng(6)
    p, at = rng.uniform(0.1, 0.9, 400), days(8, 50)
    same = disagreement(p, p, at, binary=True, threshold=0.5)
    assert same is not None
    assert (same.mean, same.decisions, same.implied_loss) == (0.0, 0.0, 0.0)
    q = np.clip(p + 0.1, 0, 1)
    found = disagreement(p, q, at, binary=True, threshold=0.5, reference=(p, p))
    assert found is not None
    assert found.mean == pytest.approx(np.abs(p - q).mean())
    assert found.low <= found.mean + 1e-9
    assert found.mean <= found.high + 1e-9
    assert found.decisions == pytest.approx(((p < 0.5) & (q >= 0.5)).mean())
    labels = rng.random((2000, 400)) < q  # if the shadow is right, the champion's log loss exceeds its own by this
    gap = np.where(labels, np.log(q / p), np.log((1 - q) / (1 - p))).mean()
    assert found.implied_loss == pytest.approx(gap, abs=0.003)
    assert disagreement(p[:10], q[:10], at[:10], binary=True) is None
    number = disagreement(p, np.full(400, np.nan), at, binary=False)
    assert number is None


def test_sentences_say_what_it_costs() -> None:
    cost = PerformanceEstimate(metric=COST, value=1.5, low=1.2, high=1.8, reference=1.0)
    estimates = WindowEstimates(rows=200, performance=(cost,), currency="EUR")
    (sentence,) = estimates.sentences()
    assert sentence == (
        "Wrong decisions cost 1.5 EUR a prediction (estimated, 1.2 to 1.8 a prediction), 1 on the gate: "
        "100 EUR more for the 200 predictions of the window"
    )
