"""Rows of the prediction log from scored rows and their answers, for the predictor and for shadow predictions."""

from __future__ import annotations

from dataclasses import replace

from headrace.prediction_log.log import Prediction
from headrace.prediction_log.rows import shadow_id
from headrace.schema import Every, Problem
from headrace.serving.answers import Answer, spine_row_key
from headrace.serving.logged_ages import LoggedAgesCache
from headrace.serving.scoring import ScoredRow


class LogRows:
    """Composes the rows of one problem's log; for one thread.

    Args:
        problem: The problem.

    Attributes:
        ages: Encoded ages of features.
    """

    def __init__(self, problem: Problem) -> None:
        self.ages = LoggedAgesCache()
        self._row_key = problem.spine_table.keys
        self._scheduled = isinstance(problem.spine, Every)

    def answer(self, row: ScoredRow, answer: Answer, request_id: str | None = None) -> Prediction:
        """Compose the row of an answer.

        Args:
            row: The scored row.
            answer: Its answer.
            request_id: Id of the HTTP request, None outside of one.
        """
        ages = self.ages.of(answer.features)
        return Prediction(
            id=answer.id,
            cutoff_us=answer.made_us,
            made_us=answer.made_us,
            model_version=answer.model_version,
            join_keys=row.request_row.keys,
            request=row.request_row.raw,
            features=row.features,
            ticks=ages.ticks,
            statuses=ages.statuses,
            probability=answer.value,
            source="api",
            request_id=request_id,
            row_key=spine_row_key(
                self._row_key, row.request_row.row_key_values, answer.made_us if self._scheduled else None
            ),
        )

    def shadow(self, row: ScoredRow, answer: Answer) -> Prediction:
        """Compose the row of a shadow prediction: by another version than the one that gave the answer."""
        made = replace(answer, model_version=row.version.loaded.version, value=row.value, features=row.ages)
        return replace(self.answer(row, made), id=shadow_id(answer.id), source="shadow")
