"""The processes of a run, and all that they tell each other.

Every process goes through the same epochs and draws the same random numbers. Of a batch of n images process r of W
takes those from ⌊r·n/W⌋ to ⌊(r + 1)·n/W⌋; its loss is the mean over these times their share of the batch, so that
losses and gradients of all processes add up to those of the whole batch. Parameters start from the first process's, get
the same sum of gradients and so stay the same everywhere. What is not a step (calibration, allocation, files) the
first process does alone.

Gradients are added in one flat tensor, with the loss at its end, instead of through DistributedDataParallel: these
networks have few parameters, a sum is right for uneven parts where a mean is not, and the module that is trained stays
the one that is measured and saved.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed

from actcodec.errors import ActcodecError

Result = TypeVar("Result")

_LONGEST_WAIT = timedelta(days=30)
"""For the first process, which may calibrate and allocate for hours. One that fails ends the wait at once."""


@dataclass(frozen=True, eq=False)
class World:
    """Process ``rank`` of ``size``; ``waiting`` is the group that waits for the first one.

    In a world of one process every method returns what it was given and costs nothing.
    """

    rank: int = 0
    size: int = 1
    waiting: distributed.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files, shows progress and does what is done once."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Return which of ``count`` images are this process's."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def share(self, count: int) -> float:
        """Return the weight of a mean over this process's part in the mean over ``count`` images."""
        return len(range(count)[self.part(count)]) / count

    def check_batches(self, images: int, batch: int) -> None:
        """Raise ActcodecError where ``images`` in batches of ``batch`` leave a process without an image in a step."""
        least = images % batch or min(batch, images)
        if least < self.size:
            raise ActcodecError(
                "torchrun", f"{images} images in batches of {batch}: one has {least}, fewer than {self.size} processes"
            )

    def sum(self, tensor: Tensor) -> Tensor:
        """Return ``tensor`` added up over all processes, in place."""
        if self.size > 1:
            distributed.all_reduce(tensor)
        return tensor

    def gather(self, tensor: Tensor) -> Tensor:
        """Return the ``tensor`` of every process, stacked in the order of their ranks."""
        if self.size == 1:
            return tensor[None]
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        distributed.all_gather(parts, tensor)
        return torch.stack(parts)

    def sum_gradients(self, parameters: Iterable[Tensor], loss: Tensor) -> float:
        """Put the sum over all processes into the gradients of ``parameters``; return that of ``loss``."""
        if self.size == 1:
            return float(loss.detach())
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), loss.detach().reshape(1)])
        *sums, total = torch.split(self.sum(flat), [*(gradient.numel() for gradient in gradients), 1])
        for gradient, added in zip(gradients, sums, strict=True):
            gradient.copy_(added.view(gradient.shape))
        return float(total)

    def by_first(self, compute: Callable[[], Result]) -> Result:
        """Return what ``compute`` gives in the first process; the others wait for it.

        Raises ActcodecError in those where it fails in the first one.
        """
        if self.size == 1:
            return compute()
        if not self.is_first:
            return self._heard()
        try:
            result = compute()
        except Exception as error:
            self._tell(None, str(error))
            raise
        self._tell(result, None)
        return result

    def _tell(self, result: object, failure: str | None) -> None:
        distributed.broadcast_object_list([result, failure], src=0, group=self.waiting)

    def _heard(self) -> Result:  # type: ignore[type-var]
        heard: list[Result | str | None] = [None, None]
        distributed.broadcast_object_list(heard, src=0, group=self.waiting)
        result, failure = heard
        if failure is not None:
            raise ActcodecError("process 0", str(failure))
        return result  # type: ignore[return-value]

    @torch.no_grad()
    def copy_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Give ``tensors`` the values that they have in the first process."""
        if self.size == 1:
            return
        values = self.by_first(lambda: [tensor.detach().cpu() for tensor in tensors])
        for tensor, value in zip(tensors, values, strict=True):
            tensor.copy_(value)


ALONE = World()


def world_size() -> int:
    """Return how many processes `torchrun` started, 1 without it; ActcodecError where it says no number."""
    return _whole("WORLD_SIZE", 1) if "RANK" in os.environ else 1


@contextmanager
def joined() -> Iterator[World]:
    """Yield the world that `torchrun` made, joined; `ALONE` without it.

    Tensors on GPUs go by NCCL, one GPU a process, others by gloo; processes of a node that are more than its GPUs
    share them and use gloo for all. Raises ActcodecError where the processes do not find each other.
    """
    size = world_size()
    if size == 1:
        yield ALONE
        return
    devices, local = torch.cuda.device_count(), _whole("LOCAL_RANK", 0)
    backend = "cpu:gloo,cuda:nccl" if devices >= _whole("LOCAL_WORLD_SIZE", size) else "gloo"
    if devices:
        torch.cuda.set_device(local % devices)
    try:
        distributed.init_process_group(backend)
    except (ValueError, RuntimeError) as error:
        raise ActcodecError("torchrun", f"the {size} processes cannot be joined: {error}") from error
    waiting = distributed.new_group(backend="gloo", timeout=_LONGEST_WAIT)
    yield World(distributed.get_rank(), size, waiting)
    # After an exception the process ends, and that must not wait for the others.
    distributed.destroy_process_group()


def _whole(name: str, default: int) -> int:
    value = os.environ.get(name, str(default))
    if not value.isdecimal():
        raise ActcodecError(name, f"is {value!r}, expected the number that torchrun sets")
    return int(value)
