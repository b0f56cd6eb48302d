"""The space of networks for tables: cells of three nodes, stacked, on embedded numbers and categories.

Node 0 is the cell's input. Every pair of nodes i < j has an edge with one operation; a node is the sum of its edges;
the cell's output is its last node. All nodes have the same width.

| operation | output of an input x [n, w]                                                              |
|-----------|------------------------------------------------------------------------------------------|
| none      | 0                                                                                        |
| skip      | x                                                                                        |
| linear    | relu(W x + b)                                                                            |
| glu       | (W x + b) * sigmoid(V x + c) (Dauphin et al., 2017)                                      |
| gated     | x * sigmoid(V x + c)                                                                     |
| attention | softmax(V x + c) * w * x: weights over the features of the node                          |
| residual  | x + W2 relu(W1 x)                                                                        |
"""

from __future__ import annotations

from headrace.networks.architectures.space import ArchitectureSpace, Slot

#: Operations without weights, of tables and of images.
PARAMETER_FREE = ("none", "skip", "max_pool_3x3")
TABULAR_OPERATIONS = ("none", "skip", "linear", "glu", "gated", "attention", "residual")
#: Edges (from, to) of a cell of three nodes.
EDGES = ((0, 1), (0, 2), (1, 2))
WIDTHS = (16, 32, 64, 128)
DEPTHS = (1, 2, 3)
#: Bins of the piecewise linear embedding of a number; 0 gives the standardised number itself.
RESOLUTIONS = (0, 4, 8, 16)


def edge_name(edge: tuple[int, int]) -> str:
    """Return the name of an edge's slot."""
    return f"edge {edge[0]}-{edge[1]}"


def tabular_space() -> ArchitectureSpace:
    """Return the whole space: 7^3 cells x 4 widths x 3 depths x 4 resolutions = 16,464 genotypes."""
    return ArchitectureSpace(
        name="tabular",
        slots=(
            *(Slot(name=edge_name(edge), options=TABULAR_OPERATIONS) for edge in EDGES),
            Slot(name="width", options=WIDTHS, ordered=True),
            Slot(name="depth", options=DEPTHS, ordered=True),
            Slot(name="resolution", options=RESOLUTIONS, ordered=True),
        ),
    )
