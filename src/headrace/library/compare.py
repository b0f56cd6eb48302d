"""Compare two data frames for drift, with the evidence and the error rates of the monitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from headrace.core.errors import DataError, DeclarationError
from headrace.evaluate.metrics import METRICS
from headrace.library.comparison import Comparison
from headrace.library.samples import Samples, read_samples
from headrace.models.bundle import CUTOFF, LABEL, PREDICTION
from headrace.monitor.drift_tests import TESTS
from headrace.monitor.evidence.window import window_evidence


def compare(
    reference: Any,
    current: Any,
    *,
    time: str | None = None,
    entities: Sequence[str] = (),
    label: str | None = None,
    prediction: str | None = None,
    metric: str | None = None,
    ignore: Sequence[str] = (),
    tests: Sequence[str] | None = None,
    floors: Mapping[str, float] | None = None,
    false_discovery_rate: float = 0.01,
    tz: str | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare current rows with a reference, column by column.

    A column has drifted where a drift test is significant, with all columns in one control of the false-discovery
    rate, and its effect is at least the test's floor. Numbers, texts and truth values are compared.

    Args:
        reference: Data frame (pandas, polars or Arrow) of the rows to compare with, such as the training rows.
        current: Data frame of the rows in question.
        time: Column of times in both. Rows of one time are alike, so without it rows that are not independent raise
            too many alarms. With it, the variance between windows of the current rows' length is estimated from the
            reference, and a window that is not of whole weeks is compared with the reference's rows of its weekdays.
        entities: Columns that name what rows are about, such as a customer; used with `time`.
        label: Column of labels in both, numbers or truth values; missing while they have not come.
        prediction: Column of predictions in both. With `label`, the quality of both sides is compared too.
        metric: Metric of that quality: auc, average_precision, log_loss, brier, rmse or mae. None: auc for labels that
            are true or false, else rmse.
        ignore: Columns that are not compared.
        tests: Drift tests that decide, by name: ks, kl, psi, js, wasserstein, mean, spread. None: the monitor's.
        floors: Test -> smallest effect that matters, where it differs from the test's own.
        false_discovery_rate: Largest share of comparisons with a finding although nothing drifted.
        tz: Zone of times without one. None: UTC.
        seed: Of simulations.

    Returns:
        The comparison: `drifted`, `to_frame()`, `to_html()`, `quality`, `notes`.

    Raises:
        DataError: A frame lacks a named column, or its times or labels cannot be read.
        DeclarationError: A test or metric does not exist.
    """
    for name in (*(tests or ()), *(floors or {})):
        TESTS.named(name, where="compare")
    if not 0 < false_discovery_rate <= 0.5:
        raise DeclarationError(f"false_discovery_rate={false_discovery_rate}", where="compare", fix="0 to 0.5")
    roles = {"label": label, "prediction": prediction}
    samples = read_samples(reference, current, time=time, entities=entities, roles=roles, ignore=ignore, tz=tz)
    evidence = window_evidence(
        samples.reference,
        samples.current,
        samples.kinds,
        fdr=false_discovery_rate,
        tests=tests,
        floors=floors,
        cutoffs_us=samples.current[CUTOFF].to_numpy() if time is not None else None,
        length_us=samples.length_us,
        start_us=samples.start_us,
        entities=samples.entities,
        metric=_metric(samples, metric),
        seed=seed,
    )
    return Comparison(
        evidence=evidence,
        reference=samples.reference,
        current=samples.current,
        kinds=samples.kinds,
        names={LABEL: label or LABEL, PREDICTION: prediction or PREDICTION},
        skipped=samples.skipped,
    )


def _metric(samples: Samples, metric: str | None) -> str:
    """The metric; by the reference's labels where none is named."""
    labels = samples.reference[LABEL].drop_null() if LABEL in samples.reference.column_names else None
    binary = labels is None or bool(np.isin(pc.unique(labels).to_numpy(), (0.0, 1.0)).all())
    if metric is None:
        return "auc" if binary else "rmse"
    if metric not in METRICS:
        raise DeclarationError(f"no metric {metric!r}", where="compare", found=METRICS)
    if METRICS[metric].binary and not binary:
        raise DataError(f"{metric} needs labels that are 0 or 1", where="compare", fix='name metric="rmse" or "mae"')
    return metric
