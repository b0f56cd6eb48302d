"""Observe the runs of a flow: a decorator below Prefect's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from prefect.runtime import flow_run

from headrace.app.observed import observed_run
from headrace.core.settings import settings
from headrace.flows.names import problem_name

P = ParamSpec("P")
R = TypeVar("R")


def observed(flow: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that records each run's trace, log fields and outcome.

    Args:
        flow: Name of the flow, whose function has the parameter `problem`.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            reference = str(kwargs["problem"] if "problem" in kwargs else args[0])
            with observed_run(flow, problem_name(reference), settings(), flow_run.id):
                return function(*args, **kwargs)

        return run

    return decorate
