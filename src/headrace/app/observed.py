"""Make a run of a flow or command observable: its trace, the fields of its log lines, and the record of its outcome."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.app.context import wall_us
from headrace.core.settings import Settings
from headrace.telemetry.fields import log_fields
from headrace.telemetry.flow_runs import recorded_run
from headrace.telemetry.process import observe_process
from headrace.telemetry.tracing import span


@contextmanager
def observed_run(flow: str, problem: str, configuration: Settings, run_id: str | None = None) -> Iterator[None]:
    """Observe the block as a run of a flow.

    Args:
        flow: Name of the flow, such as `pipeline`.
        problem: Name of the problem.
        configuration: The settings.
        run_id: Id of the run in Prefect; a new one if left out.
    """
    observe_process("headrace-flows", configuration, only_json=True)
    own_id = run_id or uuid.uuid4().hex
    attributes = {"headrace.flow": flow, "headrace.problem": problem, "headrace.run.id": own_id}
    with (
        log_fields(flow=flow, problem=problem, run_id=own_id),
        recorded_run(configuration.root, problem, flow, own_id, wall_us),
        span(f"flow {flow}", attributes),
    ):
        yield
