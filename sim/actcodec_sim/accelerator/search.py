"""The best tiling of a unit, found by trying all.

Of those that move the fewest bytes, or up to ``byte_slack`` more than that, it is the one that takes the least time.

The candidates do not depend on the memories' sizes, so that with no slack more memory never moves more bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from actcodec.errors import ActcodecError
from actcodec.graph import Tensor
from actcodec_sim.accelerator.compute import tile_cycles
from actcodec_sim.accelerator.config import Accelerator
from actcodec_sim.accelerator.cut import Cut, Cuts
from actcodec_sim.accelerator.layout import Layout
from actcodec_sim.accelerator.tiling import Residence, Tiled, Tiling
from actcodec_sim.accelerator.unit import Unit
from actcodec_sim.dram import DramDevice

_COLUMN_PARTS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Cost:
    """Bytes that a unit moves; ``modify`` is read before a partial write."""

    read: int
    write: int
    modify: int
    weights: int

    @property
    def bytes(self) -> int:
        """All of them."""
        return self.read + self.write + self.modify + self.weights


@dataclass(frozen=True, eq=False)
class Choice:
    """A unit's tiling, what it moves and an estimate of its nanoseconds."""

    tiled: Tiled
    cost: Cost
    nanoseconds: float


class Search:
    """Tilings of a graph's units on one accelerator and memory, for tensors stored as ``layouts`` says.

    ``cuts`` may be shared by searches for other layouts.
    """

    def __init__(self, accelerator: Accelerator, device: DramDevice, layouts: Mapping[str, Layout], cuts: Cuts) -> None:
        self._cuts = cuts
        self._accelerator = accelerator
        self._layouts = layouts
        self._transaction = device.transaction_bytes
        self._bytes_per_ns = device.peak_bytes_per_second * 1e-9
        self._reads: dict[tuple[Cut, str, bool], int] = {}

    def best(self, unit: Unit, residence: Residence) -> Choice | None:
        """The best tiling that fits, None where there is none."""
        least = self._least(unit, residence)
        found: list[tuple[Cost, Tiled]] = []
        done = False
        for tiled in self._candidates(unit, residence):
            if done and len(tiled.cut.column_parts) > 1:
                break
            if tiled.fits:
                found.append((self.cost(tiled), tiled))
                done = done or found[-1][0].bytes == least
        if not found:
            return None
        limit = min(cost.bytes for cost, _ in found) * (1 + self._accelerator.schedule.byte_slack)
        choices = (Choice(tiled, cost, self._estimate(tiled, cost)) for cost, tiled in found if cost.bytes <= limit)
        return min(choices, key=lambda choice: (choice.nanoseconds, choice.cost.bytes))

    def problem(self, unit: Unit, residence: Residence) -> ActcodecError:
        """Why no tiling of the unit fits: the smallest need of the memory that is short in the most frugal tiling."""
        memories = self._accelerator.memory

        def excess(tiled: Tiled) -> int:
            return sum(max(0, need - memory.bytes) for need, memory in zip(tiled.memory_bytes(), memories, strict=True))

        frugal = min(self._candidates(unit, residence), key=excess)
        need, memory = max(zip(frugal.memory_bytes(), memories, strict=True), key=lambda pair: pair[0] - pair[1].bytes)
        return ActcodecError(
            f"accelerator {self._accelerator.name}",
            f"memory {memory.name}: bytes = {memory.bytes}, but layer {unit.name} needs {need} in its smallest tiling",
        )

    def cost(self, tiled: Tiled) -> Cost:
        """Bytes that a tiling moves, counted in transactions."""
        T, unit, read = self._transaction, tiled.unit, 0
        for tensor in tiled.streamed():
            key = tiled.cut, tensor.name, tiled.stays(tensor)
            if key not in self._reads:
                layout = self._layouts[tensor.name]
                self._reads[key] = sum(layout.count(a.rows, a.columns, T, a.held) for a in tiled.accesses(tensor))
            read += self._reads[key] * (1 if tiled.stays(tensor) else tiled.passes)
        written = modified = 0
        if not tiled.residence.output:
            layout = self._layouts[unit.output.name]
            written = layout.write_count(tiled.cut.stripes, T)
            modified = int(layout.modifies(T))
        return Cost(read * T, written * T, modified * T, self._weights(tiled) * T)

    def _weights(self, tiled: Tiled) -> int:
        """Transactions of weights."""
        total = 0
        for layer in tiled.unit.layers:
            if tiled.tiling.order == "channels-outer":
                total += sum(
                    len(weight_range(layer.weight_bytes, part, layer.outputs, self._transaction))
                    for part in tiled.channel_parts
                )
            else:
                once = tiled.tiling.hold_weights or tiled.tiles == 1
                total += -(-layer.weight_bytes // self._transaction) * (1 if once else tiled.tiles)
        return total

    def _least(self, unit: Unit, residence: Residence) -> int:
        """Bytes of everything once."""
        output = unit.output
        whole = Tiling("rows-outer", output.height, output.width, output.channels, hold_weights=True)
        return self.cost(self._tiled(unit, whole, residence)).bytes

    def _tiled(self, unit: Unit, tiling: Tiling, residence: Residence) -> Tiled:
        return Tiled(self._cuts(unit, tiling.rows, tiling.columns), tiling, self._accelerator, residence)

    def _candidates(self, unit: Unit, residence: Residence) -> Iterator[Tiled]:
        return (self._tiled(unit, tiling, residence) for tiling in _tilings(unit, self._accelerator))

    def _estimate(self, tiled: Tiled, cost: Cost) -> float:
        """Nanoseconds, for choosing between tilings that move the same: equal tiles, memory at its peak."""
        unit, tiles, clock = tiled.unit, tiled.tiles, self._accelerator.clock
        cycles = sum(
            tile_cycles(
                self._accelerator.array,
                layer,
                max(1, unit.positions(number, tiled.cut.stripes[0])),
                unit.columns(tiled.cut.column_parts[0]) if number + 1 == len(unit.layers) else layer.width,
                tiled.tiling.channels if number + 1 == len(unit.layers) else layer.outputs,
            )
            for number, layer in enumerate(unit.layers)
        )
        compute = cycles * 1000 / clock.mhz
        codec = 1000 / self._accelerator.codec_mhz / tiles
        decode = codec * sum(self._decoded(tiled, tensor) for tensor in tiled.streamed())
        encode = (
            0.0 if tiled.residence.output else codec * self._layouts[unit.output.name].encode_cycles(unit.output.height)
        )
        into = (cost.read + cost.weights) / tiles / self._bytes_per_ns
        out = (cost.write + cost.modify) / tiles / self._bytes_per_ns
        fill, drain = max(into, decode), max(out, encode)
        if not self._accelerator.schedule.double_buffering:
            return tiles * (fill + compute + drain)
        return fill + tiles * max(compute, into + out, decode, encode) + drain

    def _decoded(self, tiled: Tiled, tensor: Tensor) -> int:
        """Cycles to decode an input as often as it is read."""
        output = tiled.unit.output
        rows, columns = tiled.unit.window(tensor, range(output.height), range(output.width))
        return self._layouts[tensor.name].decode_cycles(rows, columns) * (1 if tiled.stays(tensor) else tiled.passes)


def weight_range(weight_bytes: int, part: range, outputs: int, transaction: int) -> range:
    """Transactions of the weights of some of a layer's ``outputs`` channels."""
    first, stop = weight_bytes * part.start // outputs, weight_bytes * part.stop // outputs
    return range(first // transaction, -(-stop // transaction)) if stop > first else range(0)


def _tilings(unit: Unit, accelerator: Accelerator) -> Iterator[Tiling]:
    """All tilings that are tried, those of whole rows first."""
    output = unit.output
    rows = _sizes(output.height)
    single = len(unit.layers) == 1
    for parts in _COLUMN_PARTS if single else (1,):
        if parts > output.width:
            break
        columns = -(-output.width // parts)
        if "rows-outer" in accelerator.schedule.loop_orders or not single:
            for tall in rows:
                for hold in (True, False):
                    yield Tiling("rows-outer", tall, columns, output.channels, hold_weights=hold)
        if "channels-outer" in accelerator.schedule.loop_orders and single:
            step = accelerator.array.columns
            for channels in sorted({min(output.channels, -(-c // step) * step) for c in _sizes(output.channels)}):
                for tall in rows:
                    for hold in (True, False):
                        yield Tiling("channels-outer", tall, columns, channels, hold_inputs=hold)


def _sizes(whole: int) -> list[int]:
    """Sizes of parts when ``whole`` is cut into 1, 2, 3 … equal ones, the largest first."""
    return sorted({-(-whole // parts) for parts in range(1, whole + 1)}, reverse=True)
