"""The network of a genotype, and the network that mixes all operations of every edge (for DARTS).

Import this module after `training.torch_import.require_torch`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from rtdl_num_embeddings import PiecewiseLinearEncoding
from torch import nn

from headrace.networks.architectures.space import Option
from headrace.networks.architectures.tabular import EDGES, edge_name
from headrace.networks.cells.operations import convolution, make_operation


class MixedOperation(nn.Module):
    """Weighted sum of all operations of an edge (Liu et al., 2019).

    Args:
        names: The operations.
        width: Of the node.
    """

    def __init__(self, names: Sequence[str], width: int) -> None:
        super().__init__()
        self.operations = nn.ModuleList(make_operation(name, width) for name in names)

    def forward(self, x: Any, weights: Any) -> Any:
        """Return the sum of the operations' outputs, with weights [operations]."""
        return sum(weight * operation(x) for weight, operation in zip(weights, self.operations, strict=True))


class Cell(nn.Module):
    """Three nodes; a node is the sum of its edges, and the last one, normalised, is the output.

    Args:
        edges: One operation for each edge of `EDGES`.
        width: Of the nodes.
    """

    def __init__(self, edges: Sequence[Any], width: int) -> None:
        super().__init__()
        self.edges, self.normalise = nn.ModuleList(edges), nn.GroupNorm(1, width)

    def forward(self, x: Any, weights: Any = None) -> Any:
        """Return the output; weights [edges, operations] where the edges are mixed."""
        nodes = [x, 0.0, 0.0]
        for at, ((start, end), edge) in enumerate(zip(EDGES, self.edges, strict=True)):
            nodes[end] = nodes[end] + (edge(nodes[start]) if weights is None else edge(nodes[start], weights[at]))
        return self.normalise(nodes[-1])


class CellNetwork(nn.Module):
    """A stem, cells and a linear output: inputs [n, ...] -> outputs [n, 1, k].

    Args:
        choices: Slot name -> option; width and depth may lie between the space's options.
        inputs: Columns of a table, or channels of an image.
        outputs: k.
        image: Whether the inputs are images.
        bins: Edges of the bins of each column; None for the columns themselves.
        operations: Operations of each edge; None for the one of the choices.
    """

    def __init__(
        self,
        choices: Mapping[str, Option],
        *,
        inputs: int,
        outputs: int,
        image: bool,
        bins: Sequence[Any] | None = None,
        operations: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        width, depth = int(choices["width"]), int(choices["depth"])
        self.image = image
        self.encode = None if bins is None else _encoding(bins)
        columns = inputs if bins is None else sum(len(edges) - 1 for edges in bins)
        self.stem = convolution(inputs, width, 3) if image else nn.Linear(columns, width)
        self.cells = nn.ModuleList(
            Cell([_edge(choices, edge, width, operations) for edge in EDGES], width) for _ in range(depth)
        )
        self.output = nn.Linear(width, outputs)

    def forward(self, x: Any, weights: Any = None) -> Any:
        """Return outputs [n, 1, k]."""
        x = self.stem(x if self.encode is None else self.encode(x))
        for cell in self.cells:
            x = cell(x, weights)
        return self.output(x.mean(dim=(2, 3)) if self.image else x)[:, None]


def _edge(choices: Mapping[str, Option], edge: tuple[int, int], width: int, operations: Sequence[str] | None) -> Any:
    if operations is None:
        return make_operation(str(choices[edge_name(edge)]), width)
    return MixedOperation(operations, width)


def _encoding(bins: Sequence[Any]) -> Any:
    with warnings.catch_warnings():
        # A column of two values has one bin, as it should.
        warnings.filterwarnings("ignore", message=".*just two bin edges", category=UserWarning)
        return PiecewiseLinearEncoding([torch.as_tensor(edges) for edges in bins])
