"""Search an architecture by gradient descent on architecture weights (DARTS; Liu et al., 2019).

Each step trains the weights of the mixed network on half of the training rows, and the architecture weights on the
other half. At the end, each edge keeps its operation of largest weight.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from headrace.networks.architectures.image import IMAGE_OPERATIONS
from headrace.networks.architectures.space import ArchitectureSpace, Genotype, Option
from headrace.networks.architectures.tabular import EDGES, TABULAR_OPERATIONS, edge_name
from headrace.networks.cells.data import SearchData
from headrace.networks.cells.training import make_network
from headrace.networks.gradient_search.guard import CurvatureStop, discretise
from headrace.networks.training.torch_import import RandomState, one_thread, require_torch


@dataclass(frozen=True, kw_only=True)
class GradientOptions:
    """Options of a search.

    Attributes:
        order: 1 or 2; see `gradient_search.bilevel`.
        steps: Steps of the search.
        batch: Rows of a minibatch.
        rate: Learning rate of the weights.
        architecture_rate: Learning rate of the architecture weights.
        guard: Whether the early stop by curvature and the limit on operations without weights are on.
        max_parameter_free: That limit: edges of the cell.
        check_every: Steps between two eigenvalues.
        warm_up: Share of the steps in which the early stop does not judge.
    """

    order: Literal[1, 2] = 1
    steps: int = 100
    batch: int = 64
    rate: float = 0.01
    architecture_rate: float = 0.03
    guard: bool = True
    max_parameter_free: int = 1
    check_every: int = 10
    warm_up: float = 0.25


@dataclass(frozen=True, kw_only=True)
class GradientResult:
    """What a search found.

    Attributes:
        genotype: The architecture.
        weights: Architecture weights at its end [edges, operations].
        eigenvalues: Dominant eigenvalues of the validation loss, one each `check_every` steps.
        stopped_at: Step at which the guard ended the search; None where it did not.
        seconds: Time of the search.
    """

    genotype: Genotype
    weights: NDArray[np.float64]
    eigenvalues: tuple[float, ...]
    stopped_at: int | None
    seconds: float


def gradient_search(
    space: ArchitectureSpace,
    data: SearchData,
    fixed: Mapping[str, Option],
    options: GradientOptions,
    *,
    seed: int = 0,
) -> GradientResult:
    """Search the operations of a cell.

    Args:
        space: "tabular" or "image".
        data: The data set; its training rows only.
        fixed: Width, depth and resolution, which DARTS does not search.
        options: Options of the search.
        seed: Of all random numbers.
    """
    started, random = time.monotonic(), RandomState(seed)
    with one_thread(), random.use():
        run = _Run(space, data, fixed, options)
        stopped_at = run.search()
    limit = options.max_parameter_free if options.guard else None
    names = discretise(run.kept, run.operations, max_parameter_free=limit)
    edges = {edge_name(edge): name for edge, name in zip(EDGES, names, strict=True)}
    return GradientResult(
        genotype=space.genotype({**fixed, **edges}),
        weights=run.kept,
        eigenvalues=tuple(run.eigenvalues),
        stopped_at=stopped_at,
        seconds=time.monotonic() - started,
    )


class _Run:
    """The state of one search."""

    def __init__(
        self, space: ArchitectureSpace, data: SearchData, fixed: Mapping[str, Option], options: GradientOptions
    ) -> None:
        torch = require_torch()
        self.options, self.data = options, data
        known = TABULAR_OPERATIONS if space.name == "tabular" else IMAGE_OPERATIONS
        present = {name for slot in space.slots[: len(EDGES)] for name in slot.options}
        self.operations = tuple(name for name in known if name in present)
        self.network = make_network(fixed, data, self.operations)
        self.a = (1e-3 * torch.randn(len(EDGES), len(self.operations))).requires_grad_()
        self.inputs = torch.from_numpy(data.inputs["train"])
        self.targets = torch.from_numpy(data.objective.targets(data.label["train"]))
        order = torch.randperm(len(self.inputs))
        self.halves = order[: len(order) // 2], order[len(order) // 2 :]
        self.kept = np.zeros(tuple(self.a.shape))
        self.eigenvalues: list[float] = []

    def loss(self, rows: Any, weights: Mapping[str, Any], a: Any) -> Any:
        """Return the loss of rows with these weights and architecture weights."""
        torch = require_torch()
        mixing = torch.softmax(a, dim=1)
        outputs = torch.func.functional_call(self.network, dict(weights), (self.inputs[rows], mixing))
        return self.data.objective.loss(outputs, self.targets[rows], None)

    def search(self) -> int | None:
        """Take all steps, unless the guard stops; return the step at which it does."""
        torch = require_torch()
        optimiser = torch.optim.SGD(self.network.parameters(), lr=self.options.rate, momentum=0.9, weight_decay=3e-4)
        outer = torch.optim.Adam([self.a], lr=self.options.architecture_rate, betas=(0.5, 0.999), weight_decay=1e-3)
        checks = self.options.steps // self.options.check_every
        stop, snapshots = CurvatureStop(warm_up=round(self.options.warm_up * checks)), [self._snapshot()]
        for step in range(1, self.options.steps + 1):
            self._step(optimiser, outer)
            if step % self.options.check_every == 0 and self.options.guard:
                snapshots.append(self._snapshot())
                self.eigenvalues.append(self._eigenvalue())
                if stop.add(self.eigenvalues[-1]):
                    self.kept = snapshots[-1 - stop.window]
                    return step
        self.kept = self._snapshot()
        return None

    def _step(self, optimiser: Any, outer: Any) -> None:
        torch = require_torch()
        from headrace.networks.gradient_search.bilevel import architecture_gradient

        train, valid = (half[torch.randint(len(half), (self.options.batch,))] for half in self.halves)
        weights = dict(self.network.named_parameters())
        self.a.grad = architecture_gradient(
            lambda w, a: self.loss(train, w, a),
            lambda w, a: self.loss(valid, w, a),
            weights,
            self.a,
            xi=self.options.rate if self.options.order == 2 else 0.0,
        )
        outer.step()
        optimiser.zero_grad(set_to_none=True)
        self.loss(train, weights, self.a.detach()).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        optimiser.step()

    def _eigenvalue(self) -> float:
        from headrace.networks.gradient_search.bilevel import dominant_eigenvalue

        weights = {name: value.detach() for name, value in self.network.named_parameters()}
        rows = self.halves[1][: 4 * self.options.batch]
        return dominant_eigenvalue(lambda a: self.loss(rows, weights, a), self.a)

    def _snapshot(self) -> NDArray[np.float64]:
        return np.asarray(self.a.detach().numpy(), dtype=np.float64).copy()
