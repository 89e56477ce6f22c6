"""Learning in several processes of `torchrun`: a step of all of them is a step of one with the whole batch."""

from __future__ import annotations

from actcodec.learn.distributed.batchnorm import synchronise_batchnorm
from actcodec.learn.distributed.world import ALONE, World, joined, world_size

__all__ = ["ALONE", "World", "joined", "synchronise_batchnorm", "world_size"]
