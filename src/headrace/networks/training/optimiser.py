"""AdamW (Loshchilov & Hutter, 2019) for the weights of a network, by the functional form of `torch.optim`.

The class `torch.optim.AdamW` imports PyTorch's compiler when it is made, which takes 3 s of every process and is not
used here. The functional form computes the same steps, bit for bit (tested), and imports nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headrace.networks.training.torch_import import require_torch

_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8


class AdamW:
    """Changes weights by their gradients.

    Args:
        weights: Weights; those without a gradient stay as they are.
        rate: Learning rate.
        decay: Weight decay.
    """

    def __init__(self, weights: Iterable[Any], *, rate: float, decay: float) -> None:
        self.rate, self.decay = rate, decay
        self.weights = list(weights)
        self._state: dict[int, tuple[Any, Any, Any]] = {}

    def clear_gradients(self) -> None:
        """Remove the gradients of all weights."""
        for weight in self.weights:
            weight.grad = None

    def clip_gradients(self, largest: float) -> Any:
        """Scale all gradients together so that their norm is at most `largest`; return the norm before."""
        torch = require_torch()
        gradients = [weight.grad for weight in self.weights if weight.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        torch._foreach_mul_(gradients, (largest / (norm + 1e-6)).clamp(max=1.0))
        return norm

    def step(self) -> None:
        """Change every weight that has a gradient."""
        torch = require_torch()
        from torch.optim.adamw import adamw

        at = [number for number, weight in enumerate(self.weights) if weight.grad is not None]
        for number in at:
            if number not in self._state:
                zeros = torch.zeros_like(self.weights[number])
                self._state[number] = zeros, zeros.clone(), torch.tensor(0.0)
        means, squares, steps = ([self._state[number][part] for number in at] for part in range(3))
        with torch.no_grad():
            adamw(
                [self.weights[number] for number in at], [self.weights[number].grad for number in at],
                means, squares, [], steps, foreach=True, amsgrad=False, beta1=_BETA1, beta2=_BETA2, lr=self.rate,
                weight_decay=self.decay, eps=_EPS, maximize=False,
            )  # fmt: skip
