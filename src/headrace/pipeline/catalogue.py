"""The stages of the main job, of a retrain, and of a shadow, in the order they run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headrace.pipeline.stage import Stage
from headrace.pipeline.stages.draw import DRAW
from headrace.pipeline.stages.evaluate import EVALUATE
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.materialise import MATERIALISE
from headrace.pipeline.stages.promote import PROMOTE, PromoteOutput
from headrace.pipeline.stages.promote_ungated import PROMOTE_UNGATED
from headrace.pipeline.stages.publish import PUBLISH
from headrace.pipeline.stages.refit import REFIT
from headrace.pipeline.stages.refresh import REFRESH
from headrace.pipeline.stages.register import REGISTER
from headrace.pipeline.stages.replay import REPLAY
from headrace.pipeline.stages.report import REPORT, SHADOW_REPORT
from headrace.pipeline.stages.retire import RETIRE
from headrace.pipeline.stages.search import SEARCH
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.shadow import SHADOW_EVALUATE, SHADOW_FEATURES, SHADOW_SPINE, SHADOW_TRACK
from headrace.pipeline.stages.synthesise import SYNTHESISE
from headrace.pipeline.stages.track import TRACK
from headrace.pipeline.stages.training_matrix import TRAINING_MATRIX
from headrace.pipeline.stages.training_set import TRAINING_SET

#: The main job.
STAGES: tuple[Stage[Any], ...] = (
    INGEST,
    SYNTHESISE,
    SELECT,
    PUBLISH,
    TRAINING_SET,
    SEARCH,
    TRACK,
    EVALUATE,
    REFIT,
    DRAW,
    REGISTER,
    REPORT,
    PROMOTE,
    RETIRE,
    REPLAY,
    MATERIALISE,
)

#: The main job without its replay. The champion's features take the place of a selection, and the online store is
#: filled before the promotion: the features are there when the API follows the new champion.
RETRAIN_STAGES: tuple[Stage[Any], ...] = (
    INGEST,
    SYNTHESISE,
    REFRESH,
    PUBLISH,
    TRAINING_SET,
    SEARCH,
    TRACK,
    EVALUATE,
    REFIT,
    DRAW,
    REGISTER,
    REPORT,
    replace(MATERIALISE, needs=(PUBLISH, REGISTER)),
    PROMOTE,
    RETIRE,
)

#: A retrain by a policy without a gate.
UNGATED_RETRAIN_STAGES = tuple(PROMOTE_UNGATED if stage is PROMOTE else stage for stage in RETRAIN_STAGES)

#: A shadow: the champion's recipe on newer rows. Nothing outside the home's own files changes.
SHADOW_STAGES: tuple[Stage[Any], ...] = (
    INGEST,
    SHADOW_SPINE,
    SHADOW_FEATURES,
    PUBLISH,
    TRAINING_SET,
    SHADOW_EVALUATE,
    REFIT,
)


#: A measurement on the test window: the main job up to the model, without feature store and registry.
EVALUATION_STAGES: tuple[Stage[Any], ...] = (
    INGEST,
    SYNTHESISE,
    SELECT,
    TRAINING_MATRIX,
    SEARCH,
    EVALUATE,
    REFIT,
)


def shadow_promotion_stages(promotion: Stage[PromoteOutput]) -> tuple[Stage[Any], ...]:
    """The stages of a shadow, and those by which it becomes champion.

    Args:
        promotion: what promotes it, by the evidence that it has won (`stages.promote_shadow`).
    """
    return (
        *SHADOW_STAGES,
        SHADOW_TRACK,
        REGISTER,
        SHADOW_REPORT,
        replace(MATERIALISE, needs=(PUBLISH, REGISTER)),
        promotion,
        RETIRE,
    )
