"""The application of a server of one problem or several, made from the settings of its process."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from headrace.api.access.control import access_control
from headrace.api.app import create_app
from headrace.api.metrics import Meters
from headrace.api.page.csrf import new_key
from headrace.api.page.links import Links
from headrace.api.problems import ProblemsApp
from headrace.core.hosts import allowed_hosts
from headrace.core.settings import settings
from headrace.prediction_log.journal import Sync
from headrace.problems.catalogue import load_problem
from headrace.schema import Problem
from headrace.serving.answers import Policy
from headrace.serving.lake_follower import local_copy
from headrace.telemetry.process import observe_process

#: Seconds after which a thread that polls the ledger gives way to the event loop, for an answer waits for it.
_SWITCH_INTERVAL_S = 0.0005


@dataclass(frozen=True, kw_only=True)
class ServedProblems:
    """Makes the application of a server in the process that serves it.

    Attributes:
        references: Names of problems or paths of problem files; the first is at the root.
        host: Name or address that the server is bound to.
        form_key: Secret of the page's forms, the same in all processes.
    """

    references: tuple[str, ...]
    host: str
    form_key: bytes = field(default_factory=new_key, repr=False)

    def __call__(self) -> ProblemsApp:
        configuration = settings()
        observe_process("headrace-api", configuration)
        meters = Meters(configuration.metrics_folder)
        hosts = (*allowed_hosts(self.host), *configuration.hosts)
        access = access_control(configuration, self.host)
        problems = [load_problem(reference) for reference in self.references]
        apps = {
            problem.name: create_app(
                configuration.root,
                problem,
                configuration.mlflow_tracking_uri or configuration.mlflow_store,
                production_clock(configuration.root, problem),
                policy=cast(Policy, configuration.stale_policy),
                hosts=hosts,
                links=Links.from_settings(configuration),
                log_sync=None if configuration.log_sync == "database" else cast(Sync, configuration.log_sync),
                access=access,
                meters=meters,
                form_key=self.form_key,
            )
            for problem in problems
        }
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        gc.freeze()
        return ProblemsApp(apps, hosts=hosts, access=access)


def production_clock(root: Path, problem: Problem) -> Callable[[], int]:
    """The problem's clock, in us: as far as its data have come; before anything was loaded, the wall clock's time."""
    lake, feed = local_copy(root, problem.name), problem.feed

    def now() -> int:
        clock = lake.clock()
        if clock is not None:
            return clock
        return feed.start_us if feed is not None else time.time_ns() // 1000

    return now
