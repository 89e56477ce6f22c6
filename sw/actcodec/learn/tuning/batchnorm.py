"""BatchNorm re-estimation of a network whose BatchNorms are folded.

A BatchNorm that is re-estimated under compression gives every channel of a convolution the mean and variance that it
had without. On folded weights, with (m, v) the moments of channel c uncompressed and (m̂, v̂) compressed:

    W_c ← W_c·√(v/v̂)        b_c ← m + (b_c − m̂)·√(v/v̂)

As a BatchNorm in training mode does, every batch is normalised by its own moments on its way, so that a convolution's
are measured behind convolutions that are already put right; what is applied is their mean over the batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from actcodec.learn.tuning.compressed import CompressedNetwork

Hook = Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor | None]

_LARGEST = 4.0
"""A channel is scaled by no more than this: one that compression silenced is not blown up."""
_SMALLEST = 1e-8


@torch.no_grad()
def reestimate(compressed: CompressedNetwork, inputs: Iterable[Tensor]) -> None:
    """Put the moments of every convolution in ``compressed.sited`` that has a bias right, over batches ``inputs``."""
    convolutions = [m for m in compressed.sited.network.modules() if isinstance(m, nn.Conv2d) and m.bias is not None]
    watched = [_Watched(conv) for conv in convolutions]
    for x in inputs:
        for watch in watched:
            watch.note_target()
        compressed.sited(x)
        for watch in watched:
            watch.correct()
        compressed(x)
    for watch in watched:
        watch.apply()


class _Watched:
    """One convolution: per batch the moments to reach, then those that are there and their correction."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self._conv = conv
        self._handle: RemovableHandle | None = None
        self._target: tuple[Tensor, Tensor] | None = None
        self._gains: list[Tensor] = []
        self._shifts: list[Tensor] = []

    def note_target(self) -> None:
        """Take the moments of the next pass as those to reach."""

        def hook(_module: nn.Module, _args: tuple[Any, ...], output: Tensor) -> None:
            self._target = _moments(output)

        self._swap(hook)

    def correct(self) -> None:
        """Give the next pass those moments."""

        def hook(_module: nn.Module, _args: tuple[Any, ...], output: Tensor) -> Tensor:
            assert self._target is not None
            (mean, variance), (mean_now, variance_now) = self._target, _moments(output)
            gain = (
                (variance.clamp_min(_SMALLEST) / variance_now.clamp_min(_SMALLEST)).sqrt().clamp(1 / _LARGEST, _LARGEST)
            )
            shift = mean - gain * mean_now
            self._gains.append(gain)
            self._shifts.append(shift)
            return output * gain[:, None, None] + shift[:, None, None]

        self._swap(hook)

    def apply(self) -> None:
        """Fold the mean correction into the weights."""
        self._swap(None)
        if not self._gains:
            return
        gain, shift = torch.stack(self._gains).mean(0), torch.stack(self._shifts).mean(0)
        assert self._conv.bias is not None
        self._conv.weight.mul_(gain[:, None, None, None])
        self._conv.bias.mul_(gain).add_(shift)

    def _swap(self, hook: Hook | None) -> None:
        if self._handle is not None:
            self._handle.remove()
        self._handle = None if hook is None else self._conv.register_forward_hook(hook)


def _moments(output: Tensor) -> tuple[Tensor, Tensor]:
    return output.mean((0, 2, 3)), output.var((0, 2, 3), correction=0)
