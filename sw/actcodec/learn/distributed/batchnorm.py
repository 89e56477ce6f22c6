"""BatchNorm over the batch of all processes: torch's own for several processes takes tensors on GPUs only.

μ = Σ_r n_r μ_r / n        σ² = (Σ_r n_r σ_r² + n_r (μ_r − μ)²) / n        n_r values a channel in process r, n in all
dx = γ/√(σ² + ε) · (dy − mean(dy) − x̂·mean(dy·x̂))                            means over the whole batch
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from actcodec.learn.distributed.world import World

_Norm = nn.modules.batchnorm._BatchNorm


class _Normalise(torch.autograd.Function):
    """x̂·γ + β with the moments of the whole batch, which are returned beside it for the running statistics."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, world: World) -> tuple[Tensor, ...]:
        dims = _dims(x)
        variance, mean = torch.var_mean(x, dims, correction=0)
        count = x.new_full((1,), x.numel() // x.shape[1])
        counts, means, variances = torch.split(
            world.gather(torch.cat([count, mean, variance])), [1, len(mean), len(mean)], 1
        )
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        variance = (counts * (variances + (means - mean).square())).sum(0) / count
        inverse = torch.rsqrt(variance + eps)
        ctx.save_for_backward(x, weight, mean, inverse, count)
        ctx.world = world
        ctx.mark_non_differentiable(mean, variance, count)
        gain = weight * inverse
        return x * _wide(gain, x) + _wide(bias - mean * gain, x), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse, count = ctx.saved_tensors
        dy, dims = gradients[0], _dims(x)
        normalised = (x - _wide(mean, x)) * _wide(inverse, x)
        dbias, dweight = dy.sum(dims), (dy * normalised).sum(dims)
        mean_dy, mean_product = (ctx.world.sum(torch.stack([dbias, dweight])) / count).unbind()
        dx = _wide(weight * inverse, x) * (dy - _wide(mean_dy, x) - normalised * _wide(mean_product, x))
        # Like every gradient these are of the part; the trainer adds them up.
        return dx, dweight, dbias, None, None


def _dims(x: Tensor) -> list[int]:
    return [dim for dim in range(x.ndim) if dim != 1]


def _wide(channels: Tensor, x: Tensor) -> Tensor:
    return channels.view(1, -1, *(1 for _ in range(x.ndim - 2)))


class SharedBatchNorm(_Norm):
    """A BatchNorm of any number of dimensions whose batch, in training, is that of all processes of ``world``."""

    world: World

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected N×C×…, got {input.ndim} dimensions")

    def forward(self, input: Tensor) -> Tensor:
        """Normalise; in training with the moments of the whole batch, which go into the running statistics."""
        if not self.training and self.running_mean is not None:
            return super().forward(input)
        self._check_input_dim(input)
        channels = input.shape[1]
        weight = input.new_ones(channels) if self.weight is None else self.weight
        bias = input.new_zeros(channels) if self.bias is None else self.bias
        out, mean, variance, count = _Normalise.apply(input, weight, bias, self.eps, self.world)  # type: ignore[no-untyped-call]
        if self.training and self.running_mean is not None:
            self._track(mean, variance * count / (count - 1).clamp_min(1))
        return out  # type: ignore[no-any-return]

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def synchronise_batchnorm(model: nn.Module, world: World) -> None:
    """Make every BatchNorm of ``model`` one over the batch of all processes; nothing in a world of one.

    The modules stay what they are, parameters, buffers and names included; only their class changes.
    """
    if world.size == 1:
        return
    for module in model.modules():
        if isinstance(module, _Norm):
            module.__class__ = SharedBatchNorm
            module.world = world  # type: ignore[assignment]
