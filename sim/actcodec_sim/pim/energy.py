"""Energy per MAC of the macro at every width, peripherals counted, beside the published figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.errors import ActcodecError
from actcodec.files import read_json, write_text
from actcodec.pim.codes import Codes, code_range
from actcodec.pim.energy import energy_per_mac_fj
from actcodec.pim.params import PimMode, PimParams
from actcodec_rtl.generate import FILE_LIST
from actcodec_rtl.pim.generate import TOP, generate_pim, generator_digest
from actcodec_rtl.synth.elaborate import elaborate
from actcodec_rtl.synth.netlist import gate_netlist
from actcodec_rtl.synth.sources import collect
from actcodec_sim.cosim.builds import locked
from actcodec_sim.pim.constants import GateEnergy
from actcodec_sim.pim.gates import LANES
from actcodec_sim.pim.switching import ARRAY_BLOCKS, BLOCKS, BlockEnergy, Switching, SwitchingMeter

NETLIST_FILE = "gates.json"


@dataclass(frozen=True)
class Operands:
    """What the array multiplies in 64 runs: weights (64, rows, outputs) and vectors (64, N, rows) of one mode."""

    mode: PimMode
    weights: Codes
    vectors: Codes

    @property
    def input_ones(self) -> float:
        """Share of the inputs' bits that are 1."""
        return _ones(self.vectors, self.mode.input_bits)

    @property
    def weight_ones(self) -> float:
        """Share of the weights' bits that are 1."""
        return _ones(self.weights, self.mode.weight_bits)


def _ones(codes: Codes, bits: int) -> float:
    return float(np.bitwise_count(codes & ((1 << bits) - 1)).mean()) / bits


def layer_operands(
    params: PimParams, mode: PimMode, vectors: NDArray[Any], weights: NDArray[Any], number: int
) -> Operands:
    """Full tiles of a layer (`linear`), one after another to the runs, and ``number`` neighbouring positions each.

    Tiles that leave rows or columns of the array empty are not taken: they would share its energy among fewer MACs.
    Raises ActcodecError where the layer is smaller than the array, or has too few positions.
    """
    outputs = params.outputs(mode.weight_bits)
    down, across = weights.shape[0] // params.rows, weights.shape[1] // outputs
    if not down or not across or len(vectors) < number:
        raise ActcodecError(
            "PIM energy",
            f"a layer of {weights.shape[0]} inputs, {weights.shape[1]} outputs and {len(vectors)} positions does not "
            f"fill an array of {params.rows} × {outputs} for {number} positions",
        )
    firsts = np.linspace(0, len(vectors) - number, LANES).astype(int)
    chosen = [(lane % down * params.rows, lane // down % across * outputs) for lane in range(LANES)]
    return Operands(
        mode,
        np.stack([weights[row : row + params.rows, column : column + outputs] for row, column in chosen]),
        np.stack(
            [
                vectors[first : first + number, row : row + params.rows]
                for first, (row, _) in zip(firsts, chosen, strict=True)
            ]
        ),
    )


def uniform_operands(params: PimParams, mode: PimMode, number: int, seed: int) -> Operands:
    """Uniform random codes: every bit of every operand is 1 half of the time."""
    rng = np.random.default_rng(seed)

    def codes(bits: int, signed: bool, *shape: int) -> Codes:
        low, high = code_range(bits, signed)
        return rng.integers(low, high + 1, (LANES, *shape))

    weights = codes(mode.weight_bits, mode.weight_signed, params.rows, params.outputs(mode.weight_bits))
    return Operands(mode, weights, codes(mode.input_bits, mode.input_signed, number, params.rows))


def kept_netlist(params: PimParams, cache: Path) -> Mapping[str, Any]:
    """The macro's gates (`gate_netlist`), synthesised where ``cache`` has none; minutes for a large array.

    Raises ActcodecError where the extra ``synth`` is not installed.
    """
    with locked(f"pim-gates-{params.rows}x{params.columns}-{generator_digest(params)[:16]}", cache) as folder:
        kept = folder / NETLIST_FILE
        if not kept.is_file():
            with TemporaryDirectory(prefix="actcodec-pim-") as scratch:
                rtl = Path(scratch) / "rtl"
                generate_pim(params, rtl)
                design = elaborate(collect([rtl / FILE_LIST], [], TOP), Path(scratch))
                write_text(kept, json.dumps(gate_netlist(design, "pim")))
        netlist: Mapping[str, Any] = read_json(kept)
        return netlist


def measure_energy(
    params: PimParams, operands: Sequence[Operands], constants: GateEnergy, cache: Path
) -> list[dict[str, Any]]:
    """For each of ``operands`` the energy per MAC of its run, as JSON values (`energy_of`), all results compared.

    Raises ActcodecError where a result of the gates is not the golden model's.
    """
    meter = SwitchingMeter(params, kept_netlist(params, cache), constants)
    return [energy_of(each, meter.run(each.mode, each.weights, each.vectors)) for each in operands]


def energy_of(operands: Operands, run: Switching) -> dict[str, Any]:
    """Per MAC, in fJ: every block's nets and clock, the sum of array and shift accumulators, and that of all blocks."""
    mode = operands.mode

    def per_mac(blocks: Sequence[BlockEnergy]) -> float:
        return sum(block.nets + block.clock for block in blocks) / run.macs

    bits = _written_bits(operands)
    same = mode.weight_bits == mode.input_bits
    return {
        "mode": mode.name,
        "weight_bits": mode.weight_bits,
        "input_bits": mode.input_bits,
        "macs": run.macs,
        "cycles": run.cycles,
        "runs": LANES,
        "input_ones": operands.input_ones,
        "weight_ones": operands.weight_ones,
        "published_fj": energy_per_mac_fj(mode.input_bits) if same else None,
        "array_fj": per_mac([run.blocks[name] for name in ARRAY_BLOCKS]),
        "total_fj": per_mac(list(run.blocks.values())),
        "never_gated_fj": sum(block.nets + block.free_clock for block in run.blocks.values()) / run.macs,
        "write_fj_per_weight_bit": sum(block.nets + block.clock for block in run.write.values()) / bits,
        "blocks": {
            name: {"nets_fj": run.blocks[name].nets / run.macs, "clock_fj": run.blocks[name].clock / run.macs}
            for name in BLOCKS
        },
    }


def _written_bits(operands: Operands) -> int:
    """Weight bits that one run writes to the cells."""
    return int(operands.weights[0].size) * operands.mode.weight_bits
