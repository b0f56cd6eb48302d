"""Load a version for serving: check its files, query it, and compile its trees."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headrace.schema import Problem, Rollout
from headrace.serving.rollout.load_test import TEST_ROWS, load_and_query
from headrace.store.online import OnlineStore

if TYPE_CHECKING:
    from headrace.models.bundle import Bundle

_log = logging.getLogger(__name__)


def load_version(
    root: Path, problem: Problem, version: str, tracking_uri: str, online: OnlineStore, now_us: int
) -> Bundle:
    """Load a version for serving: check its files, query it, and check that its feature service is published.

    Raises:
        CorruptError: Its files or predictions differ from those of its training.
        UnavailableError: It takes longer to load or to answer than the limits of the problem's rollout.
        NotFoundError: The version or its feature service does not exist.
    """
    from headrace.models.bundle import Bundle
    from headrace.registry.models import download

    def compiled_bundle() -> Bundle:
        return with_compiled_trees(Bundle.load(download(problem.name, version, tracking_uri, root)))

    bundle = load_and_query(compiled_bundle, problem.rollout or Rollout())
    online.ages(bundle.service, now_us)
    return bundle


def with_compiled_trees(bundle: Bundle) -> Bundle:
    """Return the bundle with compiled LightGBM trees, if they predict the same bits for rows of its reference profile.

    The first prediction also loads the compiled code, so no request waits for that.
    """
    from headrace.models.compiled import compiled

    rows = bundle.read_reference().slice(0, TEST_ROWS)
    fast = replace(bundle, fitted=compiled(bundle.fitted))
    if np.array_equal(fast.predict(rows), bundle.predict(rows)):
        return fast
    _log.error("version of %s: compiled trees predict otherwise than LightGBM, so LightGBM predicts", bundle.problem)
    return bundle
