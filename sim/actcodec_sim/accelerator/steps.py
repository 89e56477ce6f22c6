"""A tiled unit as steps: what each tile reads, computes and writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from actcodec.errors import ActcodecError
from actcodec.graph import LayerGraph
from actcodec_sim.accelerator.compute import tile_cycles
from actcodec_sim.accelerator.cut import Access
from actcodec_sim.accelerator.layout import Layout
from actcodec_sim.accelerator.search import weight_range
from actcodec_sim.accelerator.tiling import Tiled
from actcodec_sim.arrays import BoolArray, Int64Array
from actcodec_sim.dram import DramDevice


@dataclass(frozen=True, eq=False)
class Transfer:
    """Transactions of one purpose, in the order in which they are asked for.

    ``purpose``: ``activations`` of sites, ``others`` (tensors that are no site), ``weights`` or ``tables``.
    """

    purpose: str
    address: Int64Array
    is_write: BoolArray


@dataclass
class Step:
    """One tile: cycles of the array, of decoder and encoder, its transfers, and the share decoded of each input."""

    compute: int = 0
    decode: int = 0
    encode: int = 0
    decoded: dict[str, float] = field(default_factory=dict)
    reads: list[Transfer] = field(default_factory=list)
    writes: list[Transfer] = field(default_factory=list)


class Addresses:
    """Where everything of a network lies: tensors, weights and codec tables, each from a DRAM page of its own."""

    def __init__(self, graph: LayerGraph, layouts: Mapping[str, Layout], device: DramDevice) -> None:
        self._next = 0
        self._device = device
        self.tensors = {tensor.name: self._region(layouts[tensor.name].region_bytes) for tensor in graph.tensors}
        self.weights = {layer.name: self._region(layer.weight_bytes) for layer in graph.layers}
        # The decoder's part behind the encoder's.
        self.tables = {
            name: (self._region(layout.encoder_table_bytes), self._region(layout.decoder_table_bytes))
            for name, layout in layouts.items()
        }

    def _region(self, size: int) -> int:
        base, page = self._next, self._device.page_bytes
        self._next += -(-size // page) * page
        if self._next > self._device.capacity_bytes:
            raise ActcodecError(self._device.name, f"the network exceeds the {self._device.capacity_bytes} bytes")
        return base


def unit_steps(
    tiled: Tiled, layouts: Mapping[str, Layout], places: Addresses, transaction: int, *, load_tables: bool
) -> list[Step]:
    """The steps of a unit, tile after tile in the order of its loops.

    With ``load_tables`` the first step loads the decoder's tables of every site that is read and the encoder's of one
    that is written.
    """
    return _Maker(tiled, layouts, places, transaction).steps(load_tables)


class _Maker:
    def __init__(self, tiled: Tiled, layouts: Mapping[str, Layout], places: Addresses, transaction: int) -> None:
        self._tiled = tiled
        self._unit = tiled.unit
        self._layouts = layouts
        self._places = places
        self._transaction = transaction
        self._made: list[int] = []

    def steps(self, load_tables: bool) -> list[Step]:
        tiled = self._tiled
        last = len(tiled.channel_parts) - 1
        accesses = {tensor.name: tiled.accesses(tensor) for tensor in tiled.streamed()}
        writes = self._writes()
        steps: list[Step] = []
        for number, channels in enumerate(tiled.channel_parts):
            self._made = [0] * len(self._unit.layers)
            place = 0
            for stripe, rows in enumerate(tiled.cut.stripes):
                for part, columns in enumerate(tiled.cut.column_parts):
                    step = Step()
                    if not steps and load_tables:
                        step.reads += self._tables()
                    for tensor in tiled.streamed():
                        if number == 0 or not tiled.stays(tensor):
                            self._read(step, tensor.name, accesses[tensor.name][place])
                    self._weights(step, len(steps), number, place)
                    step.compute = self._compute(rows, columns, len(channels), first=part == 0)
                    if writes and number == last and part == len(tiled.cut.column_parts) - 1:
                        step.writes.append(writes[stripe])
                        step.encode = self._layouts[self._unit.output.name].encode_cycles(len(rows))
                    steps.append(step)
                    place += 1
        return steps

    def _purpose(self, tensor: str) -> str:
        return "others" if self._unit.graph.by_name[tensor].site is None else "activations"

    def _read(self, step: Step, name: str, access: Access) -> None:
        layout = self._layouts[name]
        numbers = layout.read(access.rows, access.columns, self._transaction, access.held)
        if len(numbers):
            step.reads.append(self._reading(self._purpose(name), self._places.tensors[name], numbers))
        step.decode += layout.decode_cycles(access.rows, access.columns)
        step.decoded[name] = layout.decoded(access.rows, access.columns)

    def _reading(self, purpose: str, base: int, numbers: Int64Array) -> Transfer:
        return Transfer(purpose, base + numbers * self._transaction, np.zeros(len(numbers), np.bool_))

    def _tables(self) -> list[Transfer]:
        found = []
        names = [(tensor.name, 1) for tensor in self._tiled.streamed()]
        names += [] if self._tiled.residence.output else [(self._unit.output.name, 0)]
        for name, side in names:
            layout = self._layouts[name]
            size = layout.decoder_table_bytes if side else layout.encoder_table_bytes
            if size:
                numbers = np.arange(-(-size // self._transaction), dtype=np.int64)
                found.append(self._reading("tables", self._places.tables[name][side], numbers))
        return found

    def _weights(self, step: Step, done: int, part: int, place: int) -> None:
        tiled = self._tiled
        channels_outer = tiled.tiling.order == "channels-outer"
        if place if channels_outer else done and tiled.tiling.hold_weights:
            return
        for layer in self._unit.layers:
            outputs = range(layer.outputs)
            chosen = tiled.channel_parts[part] if channels_outer else outputs
            wanted = weight_range(layer.weight_bytes, chosen, layer.outputs, self._transaction)
            if wanted:
                numbers = np.arange(wanted.start, wanted.stop, dtype=np.int64)
                step.reads.append(self._reading("weights", self._places.weights[layer.name], numbers))

    def _compute(self, rows: range, columns: range, channels: int, *, first: bool) -> int:
        """Cycles of all layers of the unit for a tile; of a chain, of the rows that are not there yet."""
        array, unit, total = self._tiled.accelerator.array, self._unit, 0
        for number, (layer, made) in enumerate(zip(unit.layers, unit.made_rows(rows), strict=True)):
            if number + 1 == len(unit.layers):
                total += tile_cycles(array, layer, unit.positions(number, made), unit.columns(columns), channels)
            elif first:
                new = max(0, made.stop - max(made.start, self._made[number]))
                total += tile_cycles(array, layer, new, layer.width, layer.outputs)
                self._made[number] = max(self._made[number], made.stop)
        return total

    def _writes(self) -> list[Transfer]:
        """What is written when each stripe is finished; a partial last transaction is read first."""
        if self._tiled.residence.output:
            return []
        output = self._unit.output
        layout, base = self._layouts[output.name], self._places.tensors[output.name]
        found = []
        for numbers in layout.write(self._tiled.cut.stripes, self._transaction):
            writes = np.ones(len(numbers), np.bool_)
            found.append((numbers, writes))
        if layout.modifies(self._transaction):
            numbers, writes = found[-1]
            found[-1] = np.insert(numbers, len(numbers) - 1, numbers[-1]), np.insert(writes, len(writes) - 1, False)
        purpose = self._purpose(output.name)
        return [Transfer(purpose, base + numbers * self._transaction, writes) for numbers, writes in found]


def joined(transfers: Sequence[Transfer]) -> tuple[Int64Array, BoolArray]:
    """Addresses and directions of all transfers, one after another."""
    addresses = [np.zeros(0, np.int64), *(transfer.address for transfer in transfers)]
    directions = [np.zeros(0, np.bool_), *(transfer.is_write for transfer in transfers)]
    return np.concatenate(addresses), np.concatenate(directions)
