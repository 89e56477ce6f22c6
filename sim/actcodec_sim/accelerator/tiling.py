"""How a unit is cut into tiles, what a tile reads, and what the tiling needs on the chip.

A tile is ``rows`` × ``columns`` positions of the output and ``channels`` of its channels, computed from all input
channels. Two loop orders, the outer loop first:

    rows-outer       stripes of rows · parts of the columns                 all output channels
    channels-outer   parts of the channels · stripes of rows · parts of the columns
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from actcodec.graph import Tensor
from actcodec_sim.accelerator.config import USES, Accelerator, LoopOrder
from actcodec_sim.accelerator.cut import Access, Cut, parts
from actcodec_sim.accelerator.unit import Unit


@dataclass(frozen=True)
class Tiling:
    """Sizes of a tile; ``hold_weights`` loads all weights once and keeps them, ``hold_inputs`` all inputs."""

    order: LoopOrder
    rows: int
    columns: int
    channels: int
    hold_weights: bool = False
    hold_inputs: bool = False

    @property
    def label(self) -> str:
        """Rows × columns × channels."""
        return f"{self.rows}×{self.columns}×{self.channels}"


@dataclass(frozen=True)
class Residence:
    """What of a unit's tensors is on the chip as a whole.

    ``present``: inputs that are there already; ``kept``: inputs that are read now and stay; ``output``: the output
    stays and is not written; ``bytes``: all these and what only passes by, in the memory of outputs.
    """

    present: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    output: bool = False
    bytes: int = 0


@dataclass(frozen=True, eq=False)
class Tiled:
    """A unit cut up by a tiling, on an accelerator, with some tensors on the chip; ``cut`` is the tiling's."""

    cut: Cut
    tiling: Tiling
    accelerator: Accelerator
    residence: Residence

    @property
    def unit(self) -> Unit:
        """What is cut up."""
        return self.cut.unit

    @cached_property
    def channel_parts(self) -> tuple[range, ...]:
        """Channels of the output, part by part."""
        return parts(self.unit.output.channels, self.tiling.channels)

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return len(self.cut.stripes) * len(self.cut.column_parts) * len(self.channel_parts)

    def streamed(self) -> list[Tensor]:
        """Inputs that come from memory."""
        return [tensor for tensor in self.unit.inputs if tensor.name not in self.residence.present]

    def stays(self, tensor: Tensor) -> bool:
        """Whether an input that is read stays whole while the unit runs."""
        return self.tiling.hold_inputs or tensor.name in self.residence.kept

    def accesses(self, tensor: Tensor) -> list[Access]:
        """What each tile of one pass over the positions reads of an input, tile by tile."""
        return self.cut.accesses(tensor, self.stays(tensor))

    @property
    def passes(self) -> int:
        """Times that inputs which do not stay are read."""
        return len(self.channel_parts)

    # --- memories

    @cached_property
    def input_bytes(self) -> int:
        """Bytes of the windows of all inputs that come from memory, as words on the chip."""
        total = 0
        ahead = self.accelerator.schedule.double_buffering and self.tiles > 1
        for tensor in self.streamed():
            if tensor.name in self.residence.kept:
                continue
            whole = tensor.height * tensor.width
            window, new = self.cut.positions(tensor)
            size = whole if self.tiling.hold_inputs else window
            if not self.unit.multiplies:
                # Values are added up, or compared, as they come: two rows of them are on the chip.
                size = min(size, 2 * tensor.width)
            elif ahead and not self.tiling.hold_inputs:
                size = min(whole, size + (new if self.cut.rings else size))
            total += -(-size * tensor.channels * self.accelerator.words.activation_bits // 8)
        return total

    @cached_property
    def weight_buffer_bytes(self) -> int:
        """Bytes of weights on the chip: all, a part of the channels, or two loads of the array."""
        word, total = self.accelerator.words.weight_bits, self.unit.weight_bytes
        twice = 2 if self.accelerator.schedule.double_buffering else 1
        if self.tiling.order == "channels-outer":
            share = -(-total * self.tiling.channels // self.unit.output.channels)
            held = min(total, share * (twice if len(self.channel_parts) > 1 else 1))
        elif self.tiling.hold_weights:
            held = total
        else:
            held = min(total, twice * self.accelerator.array.rows * self.accelerator.array.columns)
        return -(-held * word // 8)

    @cached_property
    def staging_bytes(self) -> int:
        """Bytes of finished outputs that wait until all channels of whole rows are there; 0 where nothing waits.

        An encoder takes all channels of a position, row by row; the array finishes some channels of a tile at once.
        """
        output = self.unit.output
        if self.residence.output:
            return 0
        if len(self.channel_parts) > 1:
            return self._words(output, output.height)
        if output.channels <= self.accelerator.channels_at_once and len(self.cut.column_parts) == 1:
            return 0
        twice = 2 if self.accelerator.schedule.double_buffering and len(self.cut.stripes) > 1 else 1
        return min(self._words(output, output.height), twice * self._words(output, self.tiling.rows))

    @cached_property
    def fused_bytes(self) -> int:
        """Bytes of what goes from layer to layer of a chain: the rows that a stripe needs, halo included."""
        return sum(
            self._words(tensor, rows) for tensor, rows in zip(self.unit.inside, self.cut.inside_rows, strict=True)
        )

    def _words(self, tensor: Tensor, rows: int) -> int:
        return -(-tensor.channels * tensor.width * rows * self.accelerator.words.activation_bits // 8)

    def memory_bytes(self) -> tuple[int, ...]:
        """Bytes that each memory has to have."""
        outputs = self.staging_bytes + self.fused_bytes + self.residence.bytes
        needed = dict(zip(USES, (self.input_bytes, self.weight_buffer_bytes, outputs), strict=True))
        return tuple(sum(needed[use] for use in memory.holds) for memory in self.accelerator.memory)

    @property
    def fits(self) -> bool:
        """Whether every memory is large enough."""
        return all(
            needed <= memory.bytes for needed, memory in zip(self.memory_bytes(), self.accelerator.memory, strict=True)
        )
