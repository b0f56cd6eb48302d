"""An LSTM controller that draws genotypes slot by slot, and the gradient of their log-probabilities; in NumPy.

The controller of Zoph & Le (2017): the option chosen for one slot is the input of the next step. It has some thousand
weights, so that NumPy is fast enough and the search needs no PyTorch. The gradient is checked against finite
differences.

| symbol | shape    | meaning                                                       |
|--------|----------|---------------------------------------------------------------|
| B, T   |          | genotypes of a batch, slots                                    |
| E, H   |          | size of the inputs and of the state                            |
| x_t    | [B, E]   | embedding of the option of slot t - 1; a start vector at t = 0  |
| a_t    | [B, 4H]  | x_t Wx + h_{t-1} Wh + b: gates i, f, o and candidate g          |
| p_t    | [B, K_t] | softmax(h_t V_t + c_t): probabilities of the options of slot t |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.networks.architectures.space import Genotype

Array = NDArray[np.float64]
Weights = dict[str, Array]


class Controller:
    """An LSTM over slots.

    Args:
        options: Number of options of each slot [T].
        rng: Draws the initial weights, uniform in [-0.1, 0.1].
        state: H.
    """

    def __init__(self, options: Sequence[int], rng: np.random.Generator, *, state: int = 24) -> None:
        self.options, self.state = tuple(options), state
        shapes = {"start": (1, state), "Wx": (state, 4 * state), "Wh": (state, 4 * state), "b": (4 * state,)}
        for t, count in enumerate(self.options):
            shapes |= {f"V{t}": (state, count), f"c{t}": (count,), f"embed{t}": (count, state)}
        self.weights: Weights = {name: rng.uniform(-0.1, 0.1, shape) for name, shape in shapes.items()}

    def sample(self, count: int, rng: np.random.Generator) -> list[Genotype]:
        """Draw genotypes."""
        chosen = np.zeros((count, len(self.options)), dtype=np.int64)
        h, c, x = self._start(count)
        for t in range(len(self.options)):
            h, c, _ = self._step(x, h, c)
            p = self._probabilities(h, t)
            chosen[:, t] = (p.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1).clip(max=p.shape[1] - 1)
            x = self.weights[f"embed{t}"][chosen[:, t]]
        return [tuple(int(i) for i in row) for row in chosen]

    def log_probabilities(self, genotypes: Sequence[Genotype]) -> Array:
        """Return log p of each genotype [B]."""
        chosen = np.asarray(genotypes)
        total = np.zeros(len(chosen))
        h, c, x = self._start(len(chosen))
        for t in range(len(self.options)):
            h, c, _ = self._step(x, h, c)
            total += np.log(self._probabilities(h, t)[np.arange(len(chosen)), chosen[:, t]])
            x = self.weights[f"embed{t}"][chosen[:, t]]
        return total

    def gradient(self, genotypes: Sequence[Genotype], coefficients: Array, *, entropy: float = 0.0) -> Weights:
        """Return the gradient of sum_b coefficients[b] log p(genotype_b) + entropy * sum of the steps' entropies.

        Args:
            genotypes: B genotypes.
            coefficients: One of each [B].
            entropy: Weight of the entropies of p_t along the genotypes, with the inputs x_t held fixed.
        """
        chosen = np.asarray(genotypes)
        caches, outputs = self._forward(chosen)
        grads: Weights = {name: np.zeros_like(value) for name, value in self.weights.items()}
        dh_next = np.zeros((len(chosen), self.state))
        dc_next = np.zeros_like(dh_next)
        for t in reversed(range(len(self.options))):
            h, p = outputs[t]
            dz = -p * coefficients[:, None]
            dz[np.arange(len(chosen)), chosen[:, t]] += coefficients
            if entropy:
                logs = np.log(p + 1e-300)
                dz -= entropy * p * (logs - (p * logs).sum(axis=1, keepdims=True))
            grads[f"V{t}"] += h.T @ dz
            grads[f"c{t}"] += dz.sum(axis=0)
            dh = dh_next + dz @ self.weights[f"V{t}"].T
            dx, dh_next, dc_next = self._step_back(caches[t], dh, dc_next, grads)
            if t:
                np.add.at(grads[f"embed{t - 1}"], chosen[:, t - 1], dx)
            else:
                grads["start"] += dx.sum(axis=0, keepdims=True)
        return grads

    def _forward(self, chosen: NDArray[np.int64]) -> tuple[list[Any], list[tuple[Array, Array]]]:
        caches, outputs = [], []
        h, c, x = self._start(len(chosen))
        for t in range(len(self.options)):
            h, c, cache = self._step(x, h, c)
            caches.append(cache)
            outputs.append((h, self._probabilities(h, t)))
            x = self.weights[f"embed{t}"][chosen[:, t]]
        return caches, outputs

    def _start(self, count: int) -> tuple[Array, Array, Array]:
        zeros = np.zeros((count, self.state))
        return zeros, zeros, np.repeat(self.weights["start"], count, axis=0)

    def _step(self, x: Array, h: Array, c: Array) -> tuple[Array, Array, tuple[Array, ...]]:
        a = x @ self.weights["Wx"] + h @ self.weights["Wh"] + self.weights["b"]
        i, f, o = (_sigmoid(part) for part in np.split(a[:, : 3 * self.state], 3, axis=1))
        g = np.tanh(a[:, 3 * self.state :])
        new_c = f * c + i * g
        squashed = np.tanh(new_c)
        return o * squashed, new_c, (x, h, c, i, f, o, g, squashed)

    def _step_back(self, cache: tuple[Array, ...], dh: Array, dc: Array, grads: Weights) -> tuple[Array, Array, Array]:
        """Add a step's gradients to `grads`; return those of x, of the former h and of the former c."""
        x, h, c, i, f, o, g, squashed = cache
        dc = dc + dh * o * (1 - squashed**2)
        da = np.concatenate(
            [dc * g * i * (1 - i), dc * c * f * (1 - f), dh * squashed * o * (1 - o), dc * i * (1 - g**2)], axis=1
        )
        grads["Wx"] += x.T @ da
        grads["Wh"] += h.T @ da
        grads["b"] += da.sum(axis=0)
        return da @ self.weights["Wx"].T, da @ self.weights["Wh"].T, dc * f

    def _probabilities(self, h: Array, t: int) -> Array:
        z = h @ self.weights[f"V{t}"] + self.weights[f"c{t}"]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))


def _sigmoid(z: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)))


class Adam:
    """Gradient ascent by Adam (Kingma & Ba, 2015).

    Args:
        rate: Learning rate.
    """

    def __init__(self, rate: float) -> None:
        self.rate, self.steps = rate, 0
        self.mean: Weights = {}
        self.square: Weights = {}

    def ascend(self, weights: Weights, gradient: Weights) -> None:
        """Move the weights, in place, in the direction of the gradient."""
        self.steps += 1
        for name, g in gradient.items():
            self.mean[name] = 0.9 * self.mean.get(name, 0.0) + 0.1 * g
            self.square[name] = 0.999 * self.square.get(name, 0.0) + 0.001 * g**2
            mean = self.mean[name] / (1 - 0.9**self.steps)
            weights[name] += self.rate * mean / (np.sqrt(self.square[name] / (1 - 0.999**self.steps)) + 1e-8)
