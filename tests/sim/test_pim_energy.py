"""Switching energy of gates: checked against published adders, and the macro's gates against the golden model."""

import json
from pathlib import Path

import numpy as np
import pytest

from actcodec.errors import ActcodecError
from actcodec.pim import WIDTHS, PimMode, PimParams
from actcodec.pim.energy import SOURCES, energy_per_mac_fj
from actcodec_rtl.synth.elaborate import elaborate
from actcodec_rtl.synth.netlist import gate_netlist
from actcodec_rtl.synth.sources import collect
from actcodec_sim.pim.constants import load_gate_energy
from actcodec_sim.pim.energy import Operands, energy_of, kept_netlist, layer_operands, uniform_operands
from actcodec_sim.pim.gates import FUNCTIONS, LANES, GateSimulator, lanes, unpacked
from actcodec_sim.pim.switching import BLOCKS, CELLS, SwitchingMeter, net_energies
from support.cosim import CACHE
from support.pim import TINY

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "benchmarks" / "results" / "pim.json"
# Horowitz, ISSCC 2014, 45 nm, 0.9 V, in fJ.
PUBLISHED = {("+", 8): 30.0, ("+", 16): 50.0, ("+", 32): 100.0, ("*", 8): 200.0}


def netlist(text: str, folder: Path) -> dict[str, object]:
    pytest.importorskip("pyosys")
    (folder / "t.v").write_text(text)
    return dict(gate_netlist(elaborate(collect([folder / "t.v"], [], "t"), folder), "t"))


@pytest.mark.parametrize(("operator", "bits"), PUBLISHED, ids=str)
def test_adders_and_multipliers_take_what_is_published(operator: str, bits: int, tmp_path: Path) -> None:
    out = bits if operator == "+" else 2 * bits
    text = f"module t(input [{bits - 1}:0] a, b, output [{out - 1}:0] y); assign y = a {operator} b; endmodule"
    gates = GateSimulator(netlist(text, tmp_path))
    rng, cycles = np.random.default_rng(0), 50
    for cycle in range(cycles + 1):
        for port in "ab":
            gates.drive(port, rng.integers(0, 2**64, bits, dtype=np.uint64))
        gates.evaluate()
        a, b, y = (
            unpacked(gates.read(port)).astype(object) @ [1 << n for n in range(w)]
            for port, w in (("a", bits), ("b", bits), ("y", out))
        )
        wanted = a + b if operator == "+" else a * b
        assert (y == wanted % (1 << out)).all()
        gates.tick()
        if not cycle:
            gates.forget()
    energy = (gates.toggles * net_energies(gates, load_gate_energy("45nm"))).sum() / (LANES * cycles)
    assert energy == pytest.approx(PUBLISHED[operator, bits], rel=1 / 3)


def test_a_counter_with_an_enable_counts_its_clocked_cycles(tmp_path: Path) -> None:
    text = """module t(input clk, rst, en, output reg [2:0] q);
        always @(posedge clk) if (rst) q <= 0; else if (en) q <= q + 3'd1;
    endmodule"""
    gates = GateSimulator(netlist(text, tmp_path))
    gates.drive("rst", 0)
    enabled = np.random.default_rng(1).integers(0, 2, (20, LANES), dtype=np.uint8)
    for bits in enabled:
        gates.drive("en", lanes(bits[:, None]))
        gates.evaluate()
        gates.tick()
    counts = unpacked(gates.read("q")) @ [1, 2, 4]
    assert (counts == enabled.sum(axis=0) % 8).all()
    assert gates.toggles[gates.ports["q"][1][0]] >= enabled[:-1].sum()


def test_every_gate_has_a_function_of_its_pins() -> None:
    values = {pin: np.uint64(pattern) for pin, pattern in zip("ABCD", (0xFF00, 0xF0F0, 0xCCCC, 0xAAAA), strict=True)}
    values["S"] = values["C"]
    found = {
        kind: int(function(*(values[pin] for pin in pins))) & 0xFFFF for kind, (pins, function) in FUNCTIONS.items()
    }
    a, b, c, d = (int(values[pin]) for pin in "ABCD")
    assert found == {
        "$_BUF_": a,
        "$_NOT_": a ^ 0xFFFF,
        "$_AND_": a & b,
        "$_NAND_": (a & b) ^ 0xFFFF,
        "$_OR_": a | b,
        "$_NOR_": (a | b) ^ 0xFFFF,
        "$_XOR_": a ^ b,
        "$_XNOR_": a ^ b ^ 0xFFFF,
        "$_MUX_": (a & ~c | b & c) & 0xFFFF,
        "$_NMUX_": (a & ~c | b & c) & 0xFFFF ^ 0xFFFF,
        "$_AOI3_": (a & b | c) ^ 0xFFFF,
        "$_OAI3_": ((a | b) & c) ^ 0xFFFF,
        "$_AOI4_": (a & b | c & d) ^ 0xFFFF,
        "$_OAI4_": ((a | b) & (c | d)) ^ 0xFFFF,
    }


@pytest.fixture(scope="module")
def meter() -> SwitchingMeter:
    pytest.importorskip("pyosys")
    return SwitchingMeter(TINY, kept_netlist(TINY, CACHE), load_gate_energy("45nm"))


@pytest.mark.parametrize("mode", [PimMode(2, 2), PimMode(4, 4, True, True), PimMode(2, 8, False), PimMode(16, 16)])
def test_gates_give_the_golden_results_and_the_blocks_make_the_sum(meter: SwitchingMeter, mode: PimMode) -> None:
    operands = uniform_operands(TINY, mode, 3, seed=0)
    found = energy_of(operands, meter.run(mode, operands.weights, operands.vectors))
    assert list(found["blocks"]) == list(BLOCKS)
    assert sum(sum(block.values()) for block in found["blocks"].values()) == pytest.approx(found["total_fj"])
    assert 0 < found["array_fj"] < found["total_fj"] < found["never_gated_fj"]
    assert found["blocks"][CELLS]["clock_fj"] == 0 < found["write_fj_per_weight_bit"]
    assert found["macs"] == 3 * 16 * TINY.outputs(mode.weight_bits)


def test_inputs_of_zeros_move_nothing_in_the_array(meter: SwitchingMeter) -> None:
    mode = PimMode(4, 4)
    busy = uniform_operands(TINY, mode, 3, seed=0)
    quiet = Operands(mode, busy.weights, np.zeros_like(busy.vectors))
    assert quiet.input_ones == 0 and busy.input_ones == pytest.approx(0.5, abs=0.02)
    energies = [energy_of(each, meter.run(mode, each.weights, each.vectors)) for each in (busy, quiet)]
    assert energies[1]["blocks"][CELLS]["nets_fj"] < 0.1 * energies[0]["blocks"][CELLS]["nets_fj"]
    assert energies[1]["total_fj"] < energies[0]["total_fj"]


def test_a_wrong_gate_is_found() -> None:
    pytest.importorskip("pyosys")
    module = dict(kept_netlist(TINY, CACHE))
    cells = dict(module["cells"])
    name = next(name for name, cell in cells.items() if "counters" in name and cell["type"] == "$_XOR_")
    cells[name] = cells[name] | {"type": "$_XNOR_"}
    mode = PimMode(4, 4)
    operands = uniform_operands(TINY, mode, 2, seed=0)
    wrong = SwitchingMeter(TINY, module | {"cells": cells}, load_gate_energy("45nm"))
    with pytest.raises(ActcodecError, match="is not the golden model's"):
        wrong.run(mode, operands.weights, operands.vectors)


def test_layers_give_full_tiles_only() -> None:
    rng, mode = np.random.default_rng(3), PimMode(4, 4)
    params = PimParams(rows=16, columns=32)
    vectors, weights = rng.integers(0, 16, (100, 40)), rng.integers(-8, 8, (40, 20))
    operands = layer_operands(params, mode, vectors, weights, 5)
    assert operands.weights.shape == (LANES, 16, 8) and operands.vectors.shape == (LANES, 5, 16)
    assert np.array_equal(operands.weights[3], weights[16:32, 8:16])
    with pytest.raises(ActcodecError, match="does not fill an array of 16 × 8"):
        layer_operands(params, mode, vectors, weights[:, :7], 5)


def test_published_figures_are_those_of_the_paper() -> None:
    assert [energy_per_mac_fj(bits) for bits in WIDTHS] == [2.942, 16.968, 66.714, 276.676]
    assert energy_per_mac_fj(16) * 398.136e6 * 1e-9 == pytest.approx(110.154, abs=0.001)
    with pytest.raises(ActcodecError, match="3 bits are none of 2, 4, 8, 16"):
        energy_per_mac_fj(3)
    with pytest.raises(ActcodecError, match="has no figures 'guess'"):
        energy_per_mac_fj(8, "guess")


def test_figures_of_the_rtl_are_those_of_the_kept_result() -> None:
    rows = {row["input_bits"]: row for row in json.loads(RESULT.read_text())["energy"]["layer_operands"]}
    for source, key in (("rtl", "total_fj"), ("rtl-array", "array_fj")):
        assert source in SOURCES
        for bits in WIDTHS:
            assert energy_per_mac_fj(bits, source) == pytest.approx(rows[bits][key], abs=0.0006)
