"""AdamW without PyTorch's compiler equals `torch.optim.AdamW` bit for bit, and does not import the compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.neural


def test_steps_are_those_of_torch() -> None:
    """One weight has no gradient in every other step."""
    import torch

    from headrace.networks.training.optimiser import AdamW

    torch.manual_seed(0)
    start = [torch.randn(3, 4), torch.randn(5), torch.randn(2)]
    ours, theirs = ([value.clone().requires_grad_() for value in start] for _ in range(2))
    own = AdamW(ours, rate=0.01, decay=0.1)
    reference = torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.1, foreach=True)
    for step in range(7):
        gradients = [3 * torch.randn(value.shape) for value in start]
        for weights in (ours, theirs):
            for at, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
                weight.grad = None if at == 2 and step % 2 else gradient.clone()
        norm = own.clip_gradients(1.0)
        expected = torch.nn.utils.clip_grad_norm_(theirs, 1.0)
        own.step()
        reference.step()
        assert float(norm) == float(expected)
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    own.clear_gradients()
    assert all(weight.grad is None for weight in ours)


def test_a_training_does_not_import_the_compiler() -> None:
    code = (
        "import sys, torch\n"
        "from headrace.networks.training.loop import Options, Trainer\n"
        "trainer = Trainer(lambda: torch.nn.Linear(2, 1), 64, Options(batch=8))\n"
        "assert trainer.round(lambda rows: trainer.network(torch.ones(len(rows), 2)).mean())\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
