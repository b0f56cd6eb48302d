"""Networks for tables in PyTorch: embeddings of numbers and categories, then an MLP, TabM or TabNet.

The embeddings of numbers and the layers of TabM are those of their authors' packages (rtdl-num-embeddings, tabm), the
encoder of TabNet is that of pytorch-tabnet; training, inputs and storage are Headrace's. Import this module after
`training.torch_import.require_torch`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import rtdl_num_embeddings
import tabm
import torch

#: Largest size of a category's vector.
MAX_VECTOR = 50
#: Share of category cells that training replaces by "unseen", so that this level has a vector too.
UNSEEN_SHARE = 0.02


def vector_size(levels: int) -> int:
    """Return the size of the vectors of a category with this many levels: half of them, at most 50, at least 2.

    Guo & Berkhahn (2016) choose a size between 1 and levels - 1; this is the usual rule.
    """
    return max(2, min(MAX_VECTOR, (levels + 1) // 2))


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """Everything that decides the shapes of a network.

    Attributes:
        body: "mlp", "tabm" or "tabnet".
        numbers: p, numeric inputs.
        indicators: q, missing indicators.
        levels: Levels of each category column [r].
        outputs: k.
        embedding: Of numbers: "none", "piecewise" or "periodic" (Gorishniy et al., 2022).
        bins: Edges of the bins of each number, for "piecewise".
        vector: Size of a number's embedding.
        blocks, width, dropout: Of the MLP and of TabM; TabNet has `blocks` steps of width `width`.
        members: Members of TabM (Gorishniy et al., 2024).
        gamma: Of TabNet: how freely a step may use the features of earlier steps.
    """

    body: Literal["mlp", "tabm", "tabnet"]
    numbers: int
    indicators: int
    levels: tuple[int, ...]
    outputs: int
    embedding: str = "none"
    bins: tuple[tuple[float, ...], ...] = ()
    vector: int = 12
    blocks: int = 2
    width: int = 128
    dropout: float = 0.1
    members: int = 16
    gamma: float = 1.3

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NetworkSpec:
        bins = tuple(tuple(edges) for edges in data["bins"])
        return cls(**{**data, "levels": tuple(data["levels"]), "bins": bins})


class TableNetwork(torch.nn.Module):
    """Inputs [n, p + q] and codes [n, r] -> outputs [n, members, k].

    Args:
        spec: Shapes.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.vectors = torch.nn.ModuleList(torch.nn.Embedding(levels, vector_size(levels)) for levels in spec.levels)
        for vectors in self.vectors:
            torch.nn.init.normal_(vectors.weight, std=0.3)
        self.numbers = _number_embedding(spec)
        inner = spec.vector if self.numbers is not None else 1
        sizes = [inner] * spec.numbers + [1] * spec.indicators + [vector_size(levels) for levels in spec.levels]
        self.input_sizes = tuple(sizes)
        self.body = _body(spec, max(1, sum(sizes)), sizes or [1])

    def forward(self, numbers: Any, codes: Any) -> Any:
        """Return outputs [n, members, k]."""
        return self.body(self.embed(numbers, codes))

    def embed(self, numbers: Any, codes: Any) -> Any:
        """Return the body's inputs [n, sum of `input_sizes`]; one column of zeros where there is none."""
        if self.training and codes.shape[1]:
            codes = codes.masked_fill(torch.rand(codes.shape, device=codes.device) < UNSEEN_SHARE, 0)
        p = self.spec.numbers
        embedded = numbers[:, :p] if self.numbers is None else self.numbers(numbers[:, :p]).flatten(1)
        parts = [embedded, numbers[:, p:], *(vectors(codes[:, at]) for at, vectors in enumerate(self.vectors))]
        joined = torch.cat(parts, dim=1)
        return joined if joined.shape[1] else joined.new_zeros((len(joined), 1))

    def double_precision(self) -> TableNetwork:
        """Convert all weights to float64, for predictions that do not depend on the other rows of a batch."""
        self.double()
        if isinstance(self.body, _TabNet):
            encoder = self.body.encoder.encoder
            encoder.group_attention_matrix = encoder.group_attention_matrix.double()
        return self


def _number_embedding(spec: NetworkSpec) -> Any:
    if not spec.numbers or spec.embedding == "none":
        return None
    if spec.embedding == "periodic":
        return rtdl_num_embeddings.PeriodicEmbeddings(
            spec.numbers, spec.vector, n_frequencies=16, frequency_init_scale=0.1, lite=False
        )
    bins = [torch.tensor(edges, dtype=torch.float32) for edges in spec.bins]
    with warnings.catch_warnings():
        # A column of two values has one bin, as it should.
        warnings.filterwarnings("ignore", message=".*just two bin edges", category=UserWarning)
        return rtdl_num_embeddings.PiecewiseLinearEmbeddings(bins, spec.vector, activation=False, version="B")


def _body(spec: NetworkSpec, inputs: int, sizes: Sequence[int]) -> Any:
    if spec.body == "tabnet":
        return _TabNet(spec, inputs)
    if spec.body == "tabm":
        return _TabM(spec, inputs, sizes)
    return _MLP(spec, inputs)


class _MLP(torch.nn.Module):
    def __init__(self, spec: NetworkSpec, inputs: int) -> None:
        super().__init__()
        self.hidden = tabm.MLPBackbone(d_in=inputs, n_blocks=spec.blocks, d_block=spec.width, dropout=spec.dropout)
        self.output = torch.nn.Linear(spec.width, spec.outputs)

    def forward(self, x: Any) -> Any:
        return self.output(self.hidden(x))[:, None]


class _TabM(torch.nn.Module):
    def __init__(self, spec: NetworkSpec, inputs: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.view = tabm.EnsembleView(k=spec.members)
        self.hidden = tabm.make_tabm_backbone(
            d_in=inputs,
            n_blocks=spec.blocks,
            d_block=spec.width,
            dropout=spec.dropout,
            k=spec.members,
            start_scaling_init="normal" if spec.embedding != "none" else "random-signs",
            start_scaling_init_chunks=list(sizes),
        )
        self.output = tabm.LinearEnsemble(spec.width, spec.outputs, k=spec.members)

    def forward(self, x: Any) -> Any:
        return self.output(self.hidden(self.view(x)))


class _TabNet(torch.nn.Module):
    """TabNet (Arik & Pfister, 2021); `sparsity` is the entropy of the masks of the last call."""

    def __init__(self, spec: NetworkSpec, inputs: int) -> None:
        from pytorch_tabnet.tab_network import TabNetNoEmbeddings

        super().__init__()
        self.encoder = TabNetNoEmbeddings(
            inputs, spec.outputs, n_d=spec.width, n_a=spec.width, n_steps=spec.blocks, gamma=spec.gamma,
            virtual_batch_size=128, momentum=0.1, group_attention_matrix=torch.eye(inputs),
        )  # fmt: skip
        self.sparsity: Any = 0.0

    def forward(self, x: Any) -> Any:
        outputs, negative_entropy = self.encoder(x)
        self.sparsity = -negative_entropy
        return outputs[:, None]
