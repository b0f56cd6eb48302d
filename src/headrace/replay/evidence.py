"""The evidence of a replayed window, by the functions that monitor production, for the policies that are replayed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from headrace.models.bundle import CUTOFF, LABEL, PREDICTION, reference_profile
from headrace.monitor.policy.decision import Window
from headrace.monitor.worth.days import day_losses
from headrace.monitor.worth.worth import WorthEvidence, worth
from headrace.pipeline.monitoring.champion_reference import (
    ChampionReference,
    described_reference,
    restrict_to_weekdays,
)
from headrace.pipeline.monitoring.current_window import CurrentWindow
from headrace.pipeline.monitoring.monitor_window import compare
from headrace.replay.fits import Candidates
from headrace.replay.gate import gate_predictions
from headrace.replay.plan import ReplayPlan
from headrace.replay.rows import ReplayRows
from headrace.replay.table import Ints, LossTable
from headrace.schema import Policy, Problem, Worth

#: A row without a label is overdue where 99 % of the labels came sooner.
_USUAL_SHARE = 0.99


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Windows of a replay, computed once for each champion, period and kind of evidence.

    Attributes:
        problem: The declaration.
        plan: The period.
        rows: All rows with their features.
        candidates: The fitted candidates.
        cpu_s: CPU seconds of the computation by key, for the costs of policies.
    """

    problem: Problem
    plan: ReplayPlan
    rows: ReplayRows
    candidates: Candidates
    cpu_s: dict[tuple[object, ...], float] = field(default_factory=dict)
    _windows: dict[tuple[object, ...], Window] = field(default_factory=dict)
    _references: dict[int, ChampionReference] = field(default_factory=dict)

    @property
    def table(self) -> LossTable:
        return self.candidates.table

    def window(self, champion: int, period: int, policy: Policy) -> Window:
        """Return the window that ends with a period, as a policy sees it: evidence that it does not use is left out.

        Args:
            champion: The model that is champion in the period.
            period: Its number.
            policy: Which evidence is needed.
        """
        now = int(self.table.instants_us[period + 1])
        columns, quality = policy.drift, policy.quality
        key = (champion, period, columns, quality)
        if key not in self._windows:
            started = time.process_time()
            self._windows[key] = self._measure(champion, period, columns=columns, quality=quality)
            self.cpu_s[key] = time.process_time() - started
        return replace(
            self._windows[key],
            worth=None if policy.worth is None else self.worth(champion, period, policy.worth),
            age_us=now - int(self.table.instants_us[champion]),
            new_rows=self._new_rows(champion, now),
        )

    def worth(self, champion: int, period: int, rules: Worth) -> WorthEvidence | None:
        """Judge a refresh as production does: each row by the newest shadow that was fitted before its cutoff."""
        table = self.table
        end = int(table.instants_us[period + 1])
        start = max(end - rules.window_us, int(table.instants_us[champion]))
        rows = table.between(start, end, end)
        rows = rows[table.period[rows] > champion]
        if not len(rows):
            return None
        shadow = table.losses_of(table.predictions[table.period[rows], rows], rows)
        incumbent = table.losses_of(table.predictions[champion, rows], rows)
        found = worth(day_losses(incumbent, shadow, table.cutoffs_us[rows]), rules, end_us=end)
        return replace(found, shadow_us=int(table.instants_us[table.period[rows].max()]))

    def _measure(self, champion: int, period: int, *, columns: bool, quality: bool) -> Window:
        start, end = self._bounds(champion, period)
        base = Window(problem=self.problem.name, start_us=start, end_us=end, champion=str(champion))
        current = self._current(champion, start, end)
        if not columns and not quality:
            known = len(current.cutoffs_us) - current.table[LABEL].null_count
            return replace(base, rows=len(current.cutoffs_us), mature=known)
        reference = self._reference(champion)
        if not columns:
            reference = replace(reference, kinds={})
        if self.problem.monitoring.reference == "weekdays":
            reference = restrict_to_weekdays(reference, start, end)
        evidence = compare(self.problem, current, reference, seed=self.plan.seed)
        found = Window.from_evidence(
            evidence, problem=self.problem.name, start_us=start, end_us=end, champion=str(champion)
        )
        wanted = {"quality"} if not columns else {"quality", "prediction", "label", "feature"}
        return replace(found, findings=tuple(one for one in found.findings if one.about in wanted))

    def _bounds(self, champion: int, period: int) -> tuple[int, int]:
        """The monitored window that ends with a period: of the declared length, or the whole of a longer period."""
        end = int(self.table.instants_us[period + 1])
        length = max(self.problem.monitoring.window_us, self.plan.every_us)
        return max(end - length, int(self.table.instants_us[champion])), end

    def _current(self, champion: int, start_us: int, end_us: int) -> CurrentWindow:
        """What production had logged of the window at its end."""
        rows = self.table.between(start_us, end_us, np.iinfo(np.int64).max)
        known = self.table.known_us[rows] < end_us
        places = self.candidates.rows[rows]
        cutoffs = self.table.cutoffs_us[rows]
        usual = np.quantile((self.table.known_us[rows] - cutoffs)[known], _USUAL_SHARE) if known.any() else np.inf
        columns = self._columns(places)
        columns[PREDICTION] = pa.array(self.table.predictions[champion, rows].astype(np.float64))
        columns[LABEL] = pa.array(self.table.label[rows], mask=~known)
        censored = int((~known & (cutoffs + usual < end_us)).sum())
        return CurrentWindow(
            table=pa.table(columns), cutoffs_us=cutoffs, length_us=end_us - start_us, censored=censored
        )

    def _columns(self, places: Ints) -> dict[str, pa.Array]:
        matrix = self.rows.matrix.take(pa.array(places))
        columns = {name: matrix[name] for name in matrix.column_names}
        return columns | {name: pa.array(values[places]) for name, values in self.rows.entities.items()}

    def _reference(self, champion: int) -> ChampionReference:
        """What the champion's bundle would hold."""
        if champion not in self._references:
            places = self.candidates.reference[champion]
            profile = reference_profile(
                pa.table(self._columns(places)),
                self.rows.label[places],
                self.candidates.reference_predictions[champion].astype(np.float64),
                cutoffs_us=self.rows.cutoffs_us[places],
            )
            gate, predicted = gate_predictions(self.problem, self.table, champion)
            held_out = pa.table(
                {
                    PREDICTION: predicted,
                    LABEL: self.table.label[gate],
                    CUTOFF: self.table.cutoffs_us[gate],
                }
            )
            self._references[champion] = described_reference(
                self.rows.definitions, profile, held_out, self.problem.carrier
            )
        return self._references[champion]

    def _new_rows(self, champion: int, now_us: int) -> float:
        trained = int(self.table.trained_rows[champion])
        return (len(self.rows.known_before(now_us)) - trained) / trained
