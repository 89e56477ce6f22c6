"""Time of a unit: array, memory, decoder and encoder beside each other, slot by slot.

With double buffering, slot t loads and decodes tile t, computes tile t − 1, and encodes and writes tile t − 2: n tiles
take n + 2 slots, the first and the last ones being fill and drain. Without it, a tile takes three slots of its own.
A slot lasts as long as the slowest of the four; that one gets its time. The unit is bound by whichever got most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from actcodec_sim.accelerator.config import Accelerator
from actcodec_sim.accelerator.steps import Step, Transfer, joined
from actcodec_sim.dram import DramDevice, DramResult, Requests, simulate

Resource = Literal["compute", "memory", "decoder", "encoder"]
RESOURCES: tuple[Resource, ...] = ("compute", "memory", "decoder", "encoder")


@dataclass(frozen=True)
class UnitTime:
    """Nanoseconds of a unit: as a whole, that each resource is busy, and in which it is the slowest."""

    total: float
    busy: dict[Resource, float]
    bounding: dict[Resource, float]
    bound: Resource
    slots: int


@dataclass(frozen=True, eq=False)
class _Slot:
    """What happens in a slot, cycles of its own clock each."""

    compute: int
    decode: int
    encode: int
    transfers: tuple[Transfer, ...]


def run_steps(
    steps: Sequence[Step], accelerator: Accelerator, device: DramDevice, queue_depth: int, *, shared_codec: bool
) -> tuple[UnitTime, DramResult]:
    """Time of a unit's steps, and what the memory controller did with its transactions, one after another."""
    slots = _overlapped(steps) if accelerator.schedule.double_buffering else _serial(steps)
    parts = [joined(slot.transfers) for slot in slots]
    address = np.concatenate([part for part, _ in parts])
    is_write = np.concatenate([part for _, part in parts])
    zeros = np.zeros(len(address), np.int64)
    result = simulate(device, Requests(address, is_write, zeros, zeros), queue_depth=queue_depth)
    # A slot's memory time ends with the last of its requests, in the order of the slots.
    end = np.zeros(len(slots), np.int64)
    np.maximum.at(end, np.repeat(np.arange(len(slots)), [len(part) for part, _ in parts]), result.done)
    memory = np.diff(np.maximum.accumulate(end), prepend=0) * device.timing.tCK
    array, codec = 1000 / accelerator.clock.mhz, 1000 / accelerator.codec_mhz
    busy = np.array(
        [
            [slot.compute * array for slot in slots],
            memory,
            [slot.decode * codec for slot in slots],
            [slot.encode * codec for slot in slots],
        ]
    )
    lasting = busy.copy()
    if shared_codec:
        # One array of multipliers in turns: the busier half stands for both.
        both = busy[2] + busy[3]
        lasting[2], lasting[3] = np.where(busy[2] >= busy[3], both, 0), np.where(busy[2] < busy[3], both, 0)
    longest = lasting.max(axis=0)
    slowest = lasting.argmax(axis=0)
    bounding = {name: float(longest[slowest == number].sum()) for number, name in enumerate(RESOURCES)}
    time = UnitTime(
        total=float(longest.sum()),
        busy={name: float(busy[number].sum()) for number, name in enumerate(RESOURCES)},
        bounding=bounding,
        bound=max(RESOURCES, key=lambda name: bounding[name]),
        slots=len(slots),
    )
    return time, result


def _overlapped(steps: Sequence[Step]) -> list[_Slot]:
    idle = Step()
    padded = [idle, idle, *steps, idle, idle]
    return [
        _Slot(before.compute, loaded.decode, leaving.encode, (*loaded.reads, *leaving.writes))
        for leaving, before, loaded in zip(padded, padded[1:], padded[2:], strict=False)
    ]


def _serial(steps: Sequence[Step]) -> list[_Slot]:
    slots = []
    for step in steps:
        slots.append(_Slot(0, step.decode, 0, tuple(step.reads)))
        slots.append(_Slot(step.compute, 0, 0, ()))
        slots.append(_Slot(0, 0, step.encode, tuple(step.writes)))
    return slots
