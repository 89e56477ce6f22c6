"""What steers a search: the price of a bit, the schedule of the bits, sliding windows, and the log of it all.

    minimise  loss(θ, β)   subject to   Σ_l N_l Σ_g |g|·E[b_g] / values = B(t)

B goes from the bits of the start to the target over the first part of the search, in equal steps, and stays there.
After every step all widths are lowered (or raised) by one common amount, so that the equation holds. Adam sees the
gradient along it only: λ·∂(bits)/∂β is added, with λ = −⟨∂loss, ∂bits⟩/⟨∂bits, ∂bits⟩ over all widths, averaged over
steps (the least squares multiplier). No λ has to be chosen and the target is met at every step. ∂(bits) holds what a
kept coefficient costs beside its codes as well: tables at the target batch, cycles at their price.

P3 has CE + λ·|bits − target| with λ ramped up; there the price has to outgrow the loss, and its slope is the same on
both sides of the target however far it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from actcodec.learn.search.layer import SearchLayer
from actcodec.learn.search.widths import WindowWidths

_BISECTIONS = 30
_MEMORY = 0.9
"""Share of the price that stays from step to step."""
_RECORDS = 100
"""Points of the trajectory in the log."""


class BitSearch:
    """Steers the widths of ``layers``, where all else of the network takes ``fixed_bits`` of an image's ``values``.

    ``overheads`` (one a layer): bits of an image that a kept coefficient costs beside its codes. ``reach`` is the share
    of the search after which the target is reached; ``slide_every`` steps windows move; a window's softmax goes from
    temperature 1 to ``coldest``. ``steps`` are those of the whole search.
    """

    def __init__(
        self,
        layers: Sequence[SearchLayer],
        overheads: Sequence[float],
        fixed_bits: int,
        values: int,
        target_bits: float,
        *,
        rate: float,
        steps: int,
        reach: float,
        slide_every: int,
        coldest: float,
    ) -> None:
        self._layers, self._overheads = layers, overheads
        self._fixed, self._values, self._target = fixed_bits, values, target_bits
        self._rate, self._steps, self._reach = rate, steps, reach
        self._slide_every, self._coldest = slide_every, coldest
        self._parameters = [p for layer in layers for p in layer.widths.parameters()]
        self._start = float(self._bits().detach())
        self._step, self._price = 0, 0.0
        self.trajectory: list[dict[str, Any]] = []
        self._record()

    def rate(self, parameter: nn.Parameter) -> float | None:
        """Return the learning rate of a width, None for other parameters."""
        return self._rate if any(parameter is p for p in self._parameters) else None

    def correct_gradients(self) -> None:
        """Add λ·∂(bits) to the widths' gradients, between backward and the step."""
        costs = torch.autograd.grad(self._bits(priced=True), self._parameters, allow_unused=True)
        pairs = [
            (p.grad if p.grad is not None else torch.zeros_like(p), torch.zeros_like(p) if c is None else c)
            for p, c in zip(self._parameters, costs, strict=True)
        ]
        along = sum(float((g * c).sum()) for g, c in pairs)
        size = sum(float((c * c).sum()) for _, c in pairs)
        price = max(-along / size, 0.0) if size else 0.0
        self._price = price if self._step == 0 else _MEMORY * self._price + (1 - _MEMORY) * price
        for p, (g, c) in zip(self._parameters, pairs, strict=True):
            p.grad = g + self._price * c

    def after_step(self) -> None:
        """Move windows when they are due, put the bits back on their schedule and note where widths stand."""
        self._step += 1
        for layer in self._layers:
            if isinstance(layer.widths, WindowWidths):
                layer.widths.temperature = self._coldest ** (self._step / self._steps)
            if self._step % self._slide_every == 0:
                layer.widths.move()
        self._put_back()
        if self._step % max(self._steps // _RECORDS, 1) == 0:
            self._record()

    def state(self) -> dict[str, Tensor]:
        """Return what beside the parameters is needed to go on."""
        own = {
            f"{number}.{key}": value
            for number, layer in enumerate(self._layers)
            for key, value in layer.widths.state().items()
        }
        return {"step": torch.tensor(self._step), "price": torch.tensor(self._price, dtype=torch.float64), **own}

    def restore(self, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        """Take up what ``state`` and ``header`` gave."""
        self._step, self._price = int(tensors["step"]), float(tensors["price"])
        for number, layer in enumerate(self._layers):
            prefix = f"{number}."
            layer.widths.restore({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
            if isinstance(layer.widths, WindowWidths):
                layer.widths.temperature = self._coldest ** (self._step / self._steps)
        self.trajectory = list(header["trajectory"])

    def header(self) -> dict[str, Any]:
        """Return the trajectory so far, as JSON has it."""
        return {"trajectory": self.trajectory}

    def _scheduled(self) -> float:
        done = min(self._step / max(self._reach * self._steps, 1), 1.0)
        return self._start + (self._target - self._start) * done

    def _bits(self, lowered: float = 0.0, priced: bool = False) -> Tensor:
        """Return expected bits a value over all sites; ``priced``: with what kept coefficients cost beside codes."""
        total = torch.tensor(float(self._fixed))
        for layer, overhead in zip(self._layers, self._overheads, strict=True):
            sizes = layer.sizes()
            total = total + layer.positions * (sizes * layer.widths.bits(lowered)).sum()
            if priced:
                total = total + overhead * (sizes * layer.widths.kept()).sum()
        return total / self._values

    @torch.no_grad()
    def _put_back(self) -> None:
        wanted = self._scheduled()
        low, high = -1.0, 1.0
        # A slide may lower or raise by more; the next steps do the rest.
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if float(self._bits(middle)) > wanted else (low, middle)
        for layer in self._layers:
            layer.widths.lower((low + high) / 2)

    @torch.no_grad()
    def _record(self) -> None:
        widths = [[round(bits, 3) for bits in layer.widths.bits().tolist()] for layer in self._layers]
        # By name in alphabetical order, as a checkpoint's header gives it back.
        self.trajectory.append(
            {"bits": float(self._bits()), "price": self._price, "step": self._step, "widths": widths}
        )
