"""The RTL: throughput, synthesis, coverage, proofs, co-simulation, the process-in-memory macro."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from actcodec.params import DIRECTIONS
from actcodec_rtl.formal.report import mutants_table, proofs_table
from pages.common import RESULTS, Tables, load, markdown


def throughput() -> str:
    """Activations and bus words a cycle of every array; a row a transform, widths side by side."""
    content = load("throughput")
    widths = sorted({point["width"] for point in content["arrays"][0]["points"]})
    rows = []
    for array in content["arrays"]:
        cases: dict[tuple[str, int], dict[int, dict[str, Any]]] = {}
        for point in array["points"]:
            cases.setdefault((point["transform"], point["kept"]), {})[point["width"]] = point
        for (transform, kept), by_width in cases.items():
            name = "identity" if transform == "identity" else f"project, K/C = {kept}/16"
            rates = {
                direction: min(point[direction]["activations_per_cycle"] for point in by_width.values())
                for direction in ("encoder", "decoder")
            }
            words = (f"{by_width[width]['encoder']['words_per_cycle']:.3f}" for width in widths)
            rows.append(
                [
                    f"{array['lanes']} × {array['rows']}",
                    name,
                    f"**{rates['encoder']:.2f}**",
                    f"**{rates['decoder']:.2f}**",
                    *words,
                ]
            )
    header = "array|site|activations/cycle, encoder|decoder|" + "|".join(f"words/cycle, {w} bit" for w in widths)
    return markdown(header, rows)


def _synth_results() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((RESULTS / "synth").glob("*/synth.json"))]


def synth_gates() -> str:
    """Gate equivalents and memories of every design that was measured."""
    rows = [
        [
            f"`{result['name']}`",
            f"**{result['gates']['ge'] / 1000:.1f}**",
            f"{result['gates']['transistors']:,}",
            f"{result['gates']['flip_flops']:,}",
            str(len(result["gates"]["memories"])),
            f"{result['gates']['memory_bits']:,}",
        ]
        for result in _synth_results()
        if "gates" in result
    ]
    return markdown("design|kGE|transistors|flip-flops|memories|memory bits", rows)


def synth_fpga() -> str:
    """FPGA resources and clock of every design that was measured, a row a device."""
    rows = []
    for result in _synth_results():
        for fpga in result["fpga"]:
            row = [f"`{result['name']}`", fpga["device"]]
            if not fpga["fits"]:
                rows.append(
                    [*row, *(f"{fpga['cells'][kind]:,}" for kind in ("lut", "ff", "dsp", "ram")), "does not fit", ""]
                )
                continue
            used = (f"{fpga['resources'][kind]:,}" for kind in ("lut", "ff", "dsp", "ram"))
            seeds = ", ".join(f"{mhz:.1f}" for mhz in fpga["mhz_by_seed"])
            rows.append([*row, *used, "" if fpga["mhz"] is None else f"**{fpga['mhz']:.1f}**", seeds])
    return markdown("design|device|LUT4|flip-flops|multipliers|block RAMs|MHz, median|by seed", rows)


def synth_blocks(name: str) -> str:
    """Gate equivalents of a design by block; siblings that differ by a number alone share a row."""
    content = json.loads((RESULTS / "synth" / name / "synth.json").read_text())
    alike: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for block in content["blocks"]:
        if not block["total"]["ge"] and not block["own_memory_bits"]:
            continue  # a mere wrapper of a memory
        stem = re.sub(r"_?\d+$", "", block["path"])
        module = re.sub(r"_?\d+$", "", block["module"])
        alike.setdefault((stem, module), []).append(block)
    rows = []
    for (stem, _), group in alike.items():
        path = group[0]["path"] if len(group) == 1 else f"{stem}, {len(group)} of them"
        totals = [sum(block[kind]["ge"] for block in group) for kind in ("total", "own")]
        bits = sum(block["memory_bits"] for block in group)
        flip_flops = sum(block["total"]["flip_flops"] for block in group)
        rows.append(
            [f"`{path}`" if path else "**all**", *(f"{ge:,.0f}" for ge in totals), f"{flip_flops:,}", f"{bits:,}"]
        )
    return markdown("block|GE|own GE|flip-flops|memory bits", rows)


ARRAY_PARTS: dict[str, tuple[str, ...]] = {
    "MAC arrays": ("encoder.array", "encoder.multipliers", "decoder.gatherer", "decoder.array", "decoder.multipliers"),
    "memories' wrappers": ("encoder.store", "decoder.store"),
    "quantizer, packer, unpacker, restorer": (
        "encoder.quantizer",
        "encoder.packer",
        "decoder.extractor",
        "decoder.restorer",
    ),
}
"""What the gates of a codec are split into, by blocks."""


def synth_arrays() -> str:
    """Gate equivalents of the codec at several array sizes, in parts and per activation a cycle."""
    rates = {(array["lanes"], array["rows"]): array["points"] for array in load("throughput")["arrays"]}
    rows = []
    for result in sorted(
        (r for r in _synth_results() if r["name"].startswith("array-")), key=lambda r: r["codec"]["rows"]
    ):
        total = {block["path"]: block["total"]["ge"] for block in result["blocks"]}
        parts = [sum(total.get(path, 0) for path in paths) for paths in ARRAY_PARTS.values()]
        lanes, size = result["codec"]["lanes"], result["codec"]["rows"]
        slowest = min(
            point[direction]["activations_per_cycle"]
            for point in rates[lanes, size]
            for direction in DIRECTIONS
            if point["transform"] == "project" and point["kept"] == result["codec"]["block"]
        )
        rows.append(
            [
                f"{lanes} × {size}",
                f"**{result['gates']['ge'] / 1000:.1f}**",
                *(f"{part / 1000:.1f}" for part in [*parts, total[""] - sum(parts)]),
                f"{result['gates']['ge'] / 1000 / lanes:.1f}",
                f"{result['gates']['ge'] / 1000 / slowest:.1f}",
            ]
        )
    header = (
        f"array|kGE|{'|'.join(ARRAY_PARTS)}|walkers, biases, skid buffers, counters|"
        "kGE per activation/cycle, peak|all coefficients kept"
    )
    return markdown(header, rows)


def _synth_splits() -> Tables:
    return {
        f"synth_blocks:{path.parent.name}": functools.partial(synth_blocks, path.parent.name)
        for path in sorted((RESULTS / "synth").glob("*/synth.json"))
    }


def coverage() -> str:
    """Bins of the crosses with each point, and how many were hit, by direction."""
    content = load("coverage")
    rows = []
    for point, values in content["points"].items():
        row = [point, ", ".join(values)]
        for direction in DIRECTIONS:
            hit, missed = (sum(f"{point}=" in name for name in content[kind][direction]) for kind in ("hits", "holes"))
            row.append(f"{hit} of {hit + missed}")
        rows.append(row)
    totals = [f"{len(content['hits'][d])} of {len(content['hits'][d]) + len(content['holes'][d])}" for d in DIRECTIONS]
    rows.append(["**all**", "", *(f"**{total}**" for total in totals)])
    return markdown("point|values|encoder, bins hit|decoder, bins hit", rows)


def coverage_holes() -> str:
    """Every bin that no run hit."""
    holes = load("coverage")["holes"]
    rows = [[direction, name] for direction in DIRECTIONS for name in holes[direction]]
    return markdown("direction|hole", rows or [["none", ""]])


def cosim() -> str:
    """Co-simulations of real networks: words and cycles of each direction, and what was equal."""
    rows = []
    for path in sorted((RESULTS / "cosim").glob("*.json")):
        result = load(f"cosim/{path.stem}")
        sites = result["sites"]
        row = [f"`{path.stem}`", str(len(sites))]
        for direction in DIRECTIONS:
            runs = [site[direction] for site in sites]
            exact = sum(run["cycles"] == run["cycles_formula"] for run in runs)
            cycles, words = (sum(run[name] for run in runs) for name in ("cycles", "words"))
            equal = sum(run["digest"] == run["digest_golden"] for run in runs)
            row += [f"{words:,}", f"{cycles:,}", f"{exact} of {len(runs)}", f"{equal} of {len(runs)}"]
        rows.append([*row, f"{result['stalled_cycles']:,}"])
    each = "words|cycles|cycles = formula|digests equal"
    return markdown(f"run|sites|encoder: {each}|decoder: {each}|cycles of the pass with stalls", rows)


def pim_cosim() -> str:
    """Convolutions through the macro's Verilog: what was equal, cycles with and without stalls."""
    rows = []
    for run in load("pim")["cosim"]:
        batches = run["batches"]
        exact = sum(batch["cycles"] == batch["cycles_formula"] for batch in batches)
        rows.append(
            [
                run["model"],
                f"`{run['layer']}`, {run['mode']}",
                run["simulator"],
                f"{run['golden_sums']:,}",
                f"{run['sums']:,} of {run['positions']}",
                str(len(batches)),
                f"{sum(batch['cycles'] for batch in batches):,}",
                f"{exact} of {len(batches)}",
                f"{run['stalled_cycles']:,}",
            ]
        )
    header = (
        "network|convolution|simulator|sums of the golden model, all equal|sums of the RTL, all equal, of positions|"
        "tiles|cycles|cycles = formula|cycles with stalls"
    )
    return markdown(header, rows)


def pim_energy(operands: str) -> str:
    """Energy per MAC of the macro by block and width, beside the published one."""
    rows = load("pim")["energy"][operands]

    def line(name: str, values: list[float]) -> list[str]:
        return [name, *(f"{value:,.2f}" for value in values)]

    found = [line(f"`{name}`", [sum(row["blocks"][name].values()) for row in rows]) for name in rows[0]["blocks"]]
    found += [
        line("**cells, counters, accumulators, tree**", [row["array_fj"] for row in rows]),
        line("**the whole macro**", [row["total_fj"] for row in rows]),
        line("published, without peripherals", [row["published_fj"] for row in rows]),
        ["array ÷ published", *(f"{row['array_fj'] / row['published_fj']:.1f}" for row in rows)],
        ["bits of the inputs that are 1", *(f"{row['input_ones']:.0%}" for row in rows)],
        ["of the weights", *(f"{row['weight_ones']:.0%}" for row in rows)],
        line("writing a weight bit, fJ", [row["write_fj_per_weight_bit"] for row in rows]),
    ]
    widths = "|".join(f"{row['input_bits']} bits" for row in rows)
    return markdown(f"fJ/MAC|{widths}", found)


TABLES: Tables = {
    "throughput": throughput,
    "synth_gates": synth_gates,
    "synth_fpga": synth_fpga,
    "synth_arrays": synth_arrays,
    **_synth_splits(),
    "formal": lambda: proofs_table(load("formal")),
    "formal-mutants": lambda: mutants_table(load("formal")),
    "coverage": coverage,
    "coverage_holes": coverage_holes,
    "cosim": cosim,
    "pim_cosim": pim_cosim,
    "pim_energy": functools.partial(pim_energy, "layer_operands"),
    "pim_energy_uniform": functools.partial(pim_energy, "uniform_operands"),
}
