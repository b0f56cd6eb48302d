"""What every stage and operation receives: the problem, where its state lives, and the options of the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from headrace.pipeline.progress import Progress
from headrace.registry.fencing import FencingToken
from headrace.schema import Problem
from headrace.synthesis.language.engine import Engine


@dataclass(frozen=True, kw_only=True)
class Context:
    """One run of stages or operations for one problem. `headrace.app.context` builds it.

    Attributes:
        problem: the declaration.
        reference: how the problem was named (catalogue name or file path). Other processes load it by this.
        root: the home folder, absolute.
        tracking_uri: MLflow's.
        engine: computes the features. How much memory it takes changes no value.
        until_us: train on what was known before this instant. None: everything the sources hold, or, for a problem
            with a feed, everything before the feed's start.
        trials: the budget of the search.
        seed: of the selection and the search.
        workers: processes of the search, threads of a fit.
        max_memory: bytes that the process may hold; None: no limit. The engine has its own copy.
        search_folder: shared with workers of other machines, which then evaluate the trials; None: `workers` do.
        recipe_of: the version whose features and family a retrain keeps. None: features are selected, and all
            families are tried.
        progress: receives what happens while the stages run. Changes no value.
        token: the run's right to write (`pipeline.fence`); None: no other run replaces it.
    """

    problem: Problem
    reference: str
    root: Path
    tracking_uri: str
    engine: Engine = field(compare=False)
    until_us: int | None = None
    trials: int = 16
    seed: int = 0
    workers: int = 2
    max_memory: int | None = field(default=None, compare=False)
    search_folder: Path | None = field(default=None, compare=False)
    recipe_of: str | None = None
    progress: Progress = field(default_factory=Progress, compare=False)
    token: FencingToken | None = field(default=None, compare=False)

    @property
    def store_identity(self) -> str:
        """Which MLflow the effects are in: our own store is the same one with its server up or down."""
        local = ("sqlite:", "http://127.0.0.1", "http://localhost")
        return "embedded" if self.tracking_uri.startswith(local) else self.tracking_uri

    @property
    def history_end_us(self) -> int | None:
        """The instant that training ends at, where the declaration or the caller names one."""
        if self.until_us is not None:
            return self.until_us
        return self.problem.feed.start_us if self.problem.feed is not None else None

    @property
    def stages_folder(self) -> Path:
        """Where the outputs of the problem's stages lie."""
        return self.root / "stages" / self.problem.name
