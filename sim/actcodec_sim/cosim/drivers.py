"""Drivers and monitors of the codec's ports inside the simulator, and the payloads that they move.

Both simulators see the same events: inputs change after the falling edge (``drive``), everything is read in the
read-only phase that follows (``sample``), and the rising edge commits what was read. A signal that is X fails the test
where it is converted to an integer.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Source:
    """Offers payloads on a valid/ready port, each held until it is taken."""

    def __init__(self, dut: Any, name: str, rng: random.Random) -> None:
        self._valid = getattr(dut, f"{name}_valid")
        self._ready = getattr(dut, f"{name}_ready")
        self._payload = getattr(dut, f"{name}_payload")
        self._rng = rng
        self._queue: Sequence[int] = ()
        self._stall = 0.0
        self._offered = False
        self.taken = 0
        self.starves = False
        """In the cycle sampled last the codec was ready and nothing was offered."""
        self._valid.value = 0

    def begin(self, payloads: Sequence[int], stall: float) -> None:
        """Offer these payloads next; between them wait with probability ``stall`` a cycle."""
        self._queue, self._stall, self.taken = payloads, stall, 0

    def withdraw(self) -> None:
        """Offer nothing any more, as in a reset; what is on offer is taken back."""
        self._queue, self.taken, self._offered = (), 0, False
        self._valid.value = 0

    def drive(self) -> None:
        """Set the inputs of the coming rising edge."""
        if self._offered:
            return
        if self.taken < len(self._queue) and (not self._stall or self._rng.random() >= self._stall):
            self._payload.value = self._queue[self.taken]
            self._valid.value = 1
            self._offered = True
        else:
            self._valid.value = 0

    def sample(self) -> bool:
        """Read what the coming rising edge commits; True where a payload is taken."""
        is_ready = bool(int(self._ready.value))
        taken = is_ready and self._offered
        self.starves = is_ready and not self._offered
        if taken:
            self._offered = False
            self.taken += 1
        return taken

    @property
    def empty(self) -> bool:
        """Everything has been taken."""
        return self.taken == len(self._queue)


class Sink:
    """Takes payloads from a valid/ready port and checks that an offered one does not change before it is taken."""

    def __init__(self, dut: Any, name: str, rng: random.Random) -> None:
        self._name = name
        self._valid = getattr(dut, f"{name}_valid")
        self._ready = getattr(dut, f"{name}_ready")
        self._payload = getattr(dut, f"{name}_payload")
        self._rng = rng
        self._stall = 0.0
        self._is_ready = False
        self._waiting: int | None = None
        self.taken: list[int] = []
        self.blocks = False
        """In the cycle sampled last a payload was offered and not taken."""
        self._ready.value = 0

    def begin(self, stall: float) -> None:
        """Forget what was taken; from now on be unready with probability ``stall`` a cycle."""
        self._stall, self.taken, self._waiting = stall, [], None

    def drive(self) -> None:
        """Set the inputs of the coming rising edge."""
        ready = not self._stall or self._rng.random() >= self._stall
        if ready != self._is_ready:
            self._ready.value = int(ready)
            self._is_ready = ready

    def sample(self) -> bool:
        """Read what the coming rising edge commits; True where a payload is taken."""
        valid = bool(int(self._valid.value))
        self.blocks = valid and not self._is_ready
        if not valid:
            assert self._waiting is None, f"{self._name}: valid fell before its payload was taken"
            return False
        payload = self._payload.value.to_unsigned()
        assert self._waiting in (None, payload), f"{self._name}: payload changed before it was taken"
        self._waiting = None if self._is_ready else payload
        if self._is_ready:
            self.taken.append(payload)
        return self._is_ready


class StallMonitor:
    """Which frames of a run stalled at the ports of a direction."""

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Payloads of every frame, in order."""
        self._input_ends, self._output_ends = list(accumulate(inputs)), list(accumulate(outputs))
        self.input_stalls, self.output_stalls = [0] * len(inputs), [0] * len(outputs)

    def sample(self, source: Source, sink: Sink, started: int) -> None:
        """Count the cycle just sampled: ``started`` frames have begun.

        An input stalls where its frame has begun and the codec waits for it, an output where it waits to be taken.
        Nothing moves at a port that stalls: what was taken there ends before the payload that is waited for.
        """
        if source.starves and not source.empty:
            frame = bisect_right(self._input_ends, source.taken)
            if frame < started:
                self.input_stalls[frame] += 1
        if sink.blocks:
            frame = bisect_right(self._output_ends, len(sink.taken))
            if frame < len(self.output_stalls):
                self.output_stalls[frame] += 1


class Fields:
    """The fields of one port's vector, as ports.json lists them."""

    def __init__(self, port: dict[str, Any]) -> None:
        self._fields = {field["name"]: field for field in port["fields"]}

    def bits(self, name: str) -> int:
        """Bits of a field."""
        return int(self._fields[name]["bits"])

    def pack(self, **values: int) -> int:
        """The vector with these fields, the others 0."""
        return sum(value << int(self._fields[name]["offset"]) for name, value in values.items())

    def unpack(self, vector: int) -> dict[str, int]:
        """All fields, unsigned."""
        return {name: vector >> f["offset"] & ((1 << f["bits"]) - 1) for name, f in self._fields.items()}


def integers(rows: NDArray[np.uint8]) -> list[int]:
    """Rows of bytes as little-endian integers."""
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def mark_last(payloads: list[int], bit: int) -> list[int]:
    """Set ``bit`` in the last payload."""
    return [*payloads[:-1], payloads[-1] | bit] if payloads else []
