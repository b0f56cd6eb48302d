"""The gradient of DARTS (Liu et al., 2019) by the architecture weights: first and second order, by autograd.

| symbol | meaning                                                             |
|--------|---------------------------------------------------------------------|
| a      | architecture weights, one for each edge and operation               |
| w      | weights of the network that mixes all operations                    |
| w'     | w - xi * grad_w L_train(w, a): w after one step of training         |

First order: grad_a L_valid(w, a). Second order: grad_a L_valid(w'(a), a), through w'. Liu et al. approximate the second
order by finite differences; networks of this size allow to differentiate it exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

#: Weights by name, and architecture weights -> a loss.
Loss = Callable[[Mapping[str, Any], Any], Any]


def architecture_gradient(train_loss: Loss, valid_loss: Loss, w: Mapping[str, Any], a: Any, *, xi: float = 0.0) -> Any:
    """Return the gradient of the validation loss by the architecture weights.

    Args:
        train_loss: L_train.
        valid_loss: L_valid.
        w: Weights by name.
        a: Architecture weights.
        xi: Step of the unrolled training; 0 for the first order.
    """
    a = a.detach().requires_grad_()
    weights = {name: value.detach().requires_grad_(xi > 0) for name, value in w.items()}
    if xi > 0:
        loss = train_loss(weights, a)
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True, allow_unused=True)
        weights = {
            name: value if gradient is None else value - xi * gradient
            for (name, value), gradient in zip(weights.items(), gradients, strict=True)
        }
    (gradient,) = torch.autograd.grad(valid_loss(weights, a), a)
    return gradient


def dominant_eigenvalue(loss: Callable[[Any], Any], a: Any, *, steps: int = 20, seed: int = 0) -> float:
    """Return the eigenvalue of largest modulus of the Hessian of a loss by the architecture weights.

    It grows before DARTS collapses (Zela et al., 2020). Power iteration on Hessian-vector products.

    Args:
        loss: Architecture weights -> validation loss.
        a: Architecture weights.
        steps: Products.
        seed: Of the start vector.
    """
    a = a.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(a), a, create_graph=True)
    vector = torch.randn(a.shape, generator=torch.Generator().manual_seed(seed), dtype=a.dtype)
    vector, value = vector / vector.norm(), 0.0
    for _ in range(steps):
        (product,) = torch.autograd.grad((gradient * vector).sum(), a, retain_graph=True)
        value = float((vector * product).sum())
        norm = float(product.norm())
        if norm == 0:
            return 0.0
        vector = product / norm
    return value
