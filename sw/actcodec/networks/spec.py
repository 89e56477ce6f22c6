"""What is known of a network before its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class NetworkSpec:
    """What is known of a network before its weights: ``input_shape`` is C, H, W; mean and std are of x/255.

    ``embedded`` checkpoints ship with the package; the others lie in ``pretrained/`` of the data folder; a network
    whose ``checkpoint`` is None has none. ``state_of`` makes the network's state of what a checkpoint file holds.
    Where ``build`` returns a network with its weights, ``digest`` gives the SHA-256 that stands for them.
    """

    name: str
    dataset: str
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    build: Callable[[], nn.Module]
    checkpoint: str | None = None
    embedded: bool = False
    state_of: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict
    digest: Callable[[nn.Module], str] | None = None
