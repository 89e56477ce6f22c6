"""The macro's gates at work: 64 runs beside each other, results compared, energy by block from what switched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.pim.codes import Bits, input_words, result_beats, weight_rows
from actcodec.pim.model import multiply_cells
from actcodec.pim.params import PimMode, PimParams
from actcodec_rtl.pim.layouts import mode_layout, results_layout, weights_layout, word_layout
from actcodec_rtl.synth.netlist import path_of
from actcodec_sim.pim.batch import mode_fields
from actcodec_sim.pim.constants import GateEnergy
from actcodec_sim.pim.gates import FUNCTIONS, LANES, GateSimulator, Words, lanes, unpacked

ARRAY_BLOCKS = ("pim_array.cells", "pim_array.pim_counters", "pim_accumulators", "pim_tree")
"""Cells, counters, shift accumulators and shift-add tree: what the published figures are of."""
PERIPHERALS = ("pim_input_buffer", "pim_input_driver", "pim_result_buffer", "control")
"""Everything else; ``control`` is the top's own logic and the nets of its ports."""
BLOCKS = (*ARRAY_BLOCKS, *PERIPHERALS)
CELLS = ARRAY_BLOCKS[0]
_RESET_CYCLES = 2


@dataclass(frozen=True)
class BlockEnergy:
    """Energy of one block in fJ, of a run: nets that change, the clock, and the clock if it were never gated."""

    nets: float
    clock: float
    free_clock: float


@dataclass(frozen=True)
class Switching:
    """A run of the macro: MACs and cycles of one lane, energy by block, and that of writing the cells before."""

    macs: int
    cycles: int
    blocks: dict[str, BlockEnergy]
    write: dict[str, BlockEnergy]


def net_energies(gates: GateSimulator, constants: GateEnergy) -> NDArray[np.float64]:
    """Energy in fJ of a change of every net: that of the input pins that it drives."""
    energies = np.zeros(len(gates.values))
    for kind, pins in gates.cells.values():
        for pin, net in pins.items():
            if pin in FUNCTIONS.get(kind, ("DE", None))[0]:
                energies[net] += constants.change_fj(_capacitance(kind, pin, constants))
    return energies


def _capacitance(kind: str, pin: str, constants: GateEnergy) -> float:
    if kind not in FUNCTIONS:
        return (constants.flip_flop_pin if pin == "D" else constants.pin).value
    return (constants.wide_pin if kind in ("$_XOR_", "$_XNOR_") or pin == "S" else constants.pin).value


class SwitchingMeter:
    """A macro's gates with the capacitance of every net and the block that drives it."""

    def __init__(self, params: PimParams, netlist: Mapping[str, Any], constants: GateEnergy) -> None:
        self._params, self._constants = params, constants
        self._gates = gates = GateSimulator(netlist)
        self._change = net_energies(gates, constants)
        self._block = np.full(len(gates.values), BLOCKS.index("control"))
        self._flip_flop_block = np.array([BLOCKS.index(block_of(name)) for name in gates.flip_flops])
        for name, (_, pins) in gates.cells.items():
            self._block[pins["Y"] if "Y" in pins else pins["Q"]] = BLOCKS.index(block_of(name))

    def run(self, mode: PimMode, weights: NDArray[Any], vectors: NDArray[Any]) -> Switching:
        """Weights (64, inputs, outputs), then vectors (64, N, inputs) without a pause, a lane each.

        Raises ActcodecError where the gates' results are not the golden model's.
        """
        p = self._params
        cells = np.stack([weight_rows(p, mode, each) for each in weights])
        words = np.stack([input_words(p, mode, each) for each in vectors])
        self._reset()
        write = self._write(cells)
        expected = np.stack([self._expected(mode, *each) for each in zip(cells, words, strict=True)])
        blocks, cycles = self._compute(mode, words, expected)
        macs = vectors.shape[1] * weights.shape[1] * weights.shape[2]
        return Switching(macs, cycles, blocks, write)

    def _expected(self, mode: PimMode, cells: Bits, words: Bits) -> Bits:
        """The bits (N · beats, payload) of the results of one lane."""
        beats = result_beats(self._params, mode.weight_bits, multiply_cells(self._params, mode, cells, words))
        size = results_layout(self._params).size
        last = 1 << results_layout(self._params)["last"].offset
        payloads = [beat | (last if (n + 1) % self._params.beats == 0 else 0) for n, beat in enumerate(beats)]
        wide = [np.frombuffer(each.to_bytes(-(-size // 8), "little"), np.uint8) for each in payloads]
        return np.unpackbits(np.stack(wide), axis=-1, bitorder="little")[:, :size]

    def _reset(self) -> None:
        gates = self._gates
        for name, value in (("rst", 1), ("weights_valid", 0), ("i_valid", 0), ("o_ready", 1)):
            gates.drive(name, value)
        for _ in range(_RESET_CYCLES):
            gates.evaluate()
            gates.tick()
        gates.drive("rst", 0)

    def _write(self, cells: Bits) -> dict[str, BlockEnergy]:
        gates, layout = self._gates, weights_layout(self._params)
        data, row = layout["data"], layout["row"]
        payload = np.zeros(layout.size, np.uint64)
        gates.drive("weights_valid", 1)
        gates.evaluate()
        gates.forget()
        for number in range(self._params.rows):
            payload[data.offset : data.offset + data.width] = lanes(cells[:, number])
            payload[row.offset : row.offset + row.width] = _constant(number, row.width)
            gates.drive("weights_payload", payload)
            gates.evaluate()
            gates.tick()
        gates.drive("weights_valid", 0)
        return self._energies()

    def _compute(self, mode: PimMode, words: Bits, expected: Bits) -> tuple[dict[str, BlockEnergy], int]:
        gates, p = self._gates, self._params
        layout = word_layout(p)
        data, place = layout["data"], layout["mode"].offset
        payload = np.zeros(layout.size, np.uint64)
        for name, value in mode_fields(mode).items():
            field = mode_layout()[name]
            first = place + field.offset
            payload[first : first + field.width] = _constant(value, field.width)
        waiting = list(lanes(words.reshape(LANES, -1, p.word_bits)))
        taken: list[Words] = []
        limit = 8 * (len(waiting) + expected.shape[1]) + 64
        gates.evaluate()
        gates.forget()
        while len(taken) < expected.shape[1]:
            if gates.cycles > limit:
                raise ActcodecError("PIM gates", f"gave {len(taken)} of {expected.shape[1]} results in {limit} cycles")
            gates.drive("i_valid", int(bool(waiting)))
            if waiting:
                payload[data.offset : data.offset + data.width] = waiting[0]
                gates.drive("i_payload", payload)
            gates.evaluate()
            if waiting and gates.read("i_ready")[0]:
                waiting.pop(0)
            if gates.read("o_valid")[0]:
                taken.append(gates.read("o_payload").copy())
            gates.tick()
        found = unpacked(np.stack(taken))
        if not np.array_equal(found, expected):
            lane, beat, _ = np.argwhere(found != expected)[0]
            raise ActcodecError(
                "PIM gates", f"result {beat} of run {lane} in mode {mode.name} is not the golden model's"
            )
        return self._energies(), gates.cycles

    def _energies(self) -> dict[str, BlockEnergy]:
        """Energy by block since the gates were told to forget, of one lane."""
        gates, count = self._gates, len(BLOCKS)
        nets = np.bincount(self._block, gates.toggles * self._change, count) / LANES
        each = self._constants.flip_flop.value
        clock = np.bincount(self._flip_flop_block, gates.clocked * each, count) / LANES
        free = np.bincount(self._flip_flop_block, minlength=count) * each * gates.cycles
        # Weight cells are no flip-flops in an array: they have no clock where they are not written.
        free[BLOCKS.index(CELLS)] = clock[BLOCKS.index(CELLS)]
        return {name: BlockEnergy(float(nets[n]), float(clock[n]), float(free[n])) for n, name in enumerate(BLOCKS)}


def block_of(cell: str) -> str:
    """The block that a cell of the flattened netlist is of."""
    path = path_of(cell)
    found = next((name for name in BLOCKS if path.startswith(f"{name}.")), "control")
    if found == "control" and path.startswith("pim_"):
        raise ActcodecError(path, "is a cell of no block that is counted")
    return found


def _constant(value: int, bits: int) -> Words:
    """An integer as bits that are the same in all lanes."""
    return np.array([~np.uint64(0) if value >> n & 1 else np.uint64(0) for n in range(bits)], np.uint64)
