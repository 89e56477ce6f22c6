"""The tables of results in README.md and docs/, rendered from benchmarks/results.

    python benchmarks/tables.py      rewrites the text between the markers <!-- NAME --> and <!-- /NAME -->

A test checks that the documents are up to date.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actcodec.params import DIRECTIONS
from actcodec_rtl.formal.report import mutants_table, proofs_table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def _load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


def _markdown(header: str, rows: list[list[str]]) -> str:
    columns = header.split("|")
    lines = [header, "|".join(["---"] + ["---:"] * (len(columns) - 1)), *("|".join(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cell.strip() for cell in line.split('|'))} |" for line in lines)


def demo() -> str:
    """The demo's summary, site by site."""
    summary = _load("demo")
    rows = [
        [
            f"`{site['name']}`",
            "×".join(map(str, site["shape"])),
            site["transform"],
            f"{site['bits_per_value']:.2f}",
            *(str(site["bytes"][stage]) for stage in ("trainer", "golden", "rtl", "traffic")),
            f"{site['cycles']['encode']} / {site['cycles_formula']['encode']}",
            "yes" if site["digests_equal"] else "NO",
        ]
        for site in summary["sites"]
    ]
    total = summary["bytes"]
    rows.append(
        [
            "**all sites**",
            "",
            "",
            f"**{summary['bits_per_value']:.2f}**",
            *(f"**{total[stage]}**" for stage in ("trainer", "golden", "rtl", "traffic")),
            "",
            "**yes**" if summary["digests_equal"] else "**NO**",
        ]
    )
    header = "site|C×H×W|transform|bits/value|trainer B|golden B|RTL B|traffic B|encode cycles / formula|digests equal"
    return _markdown(header, rows)


def headline() -> str:
    """Accuracy and traffic of the demo and of the kept tables, one row each."""
    summary = _load("demo")
    moved = summary["traffic"]["raw8"]["moved_bytes"] / summary["traffic"]["actcodec"]["moved_bytes"]
    rows = [
        [
            "mnist-resnet12 (embedded, `make demo`)",
            f"{summary['test_images']:,}",
            f"{summary['accuracy_float']:.2%}",
            f"**{summary['accuracy_golden']:.2%}**",
            f"**{summary['bits_per_value']:.2f}**",
            f"{summary['bpv_net']['1']:.2f} / {summary['bpv_net']['16']:.2f}",
            *(f"{bits / summary['bits_per_value']:.1f}×" for bits in (8, 16, 32)),
            f"{moved:.2f}×",
        ]
    ]
    for kept in _load("headline")["tables"]:
        rows.append(
            [
                f"{kept['network']}, {kept['method']}",
                f"{kept['images']:,}",
                f"{kept['accuracy_float']:.2%}",
                f"**{kept['accuracy_golden']:.2%}**",
                f"**{kept['bits_per_value']:.2f}**",
                f"{kept['bpv_net']['1']:.2f} / {kept['bpv_net']['16']:.2f}",
                *(f"{bits / kept['bits_per_value']:.1f}×" for bits in (8, 16, 32)),
                "",
            ]
        )
    header = (
        "network|test images|float|through the codec|bpv_stream|bpv_net, batch 1 / 16|"
        "vs 8 bit|vs 16 bit|vs 32 bit|DRAM bytes vs raw 8 bit"
    )
    return _markdown(header, rows)


def training_step() -> str:
    """Ratios to the plain training step."""
    ratios = _load("training_step")["ratio_to_plain"]
    return _markdown("step|ratio to the plain one", [[name, f"{ratio:.2f}×"] for name, ratio in ratios.items()])


def density() -> str:
    """What activation-density training came to: a row a run, the published figures below."""
    content = _load("density")
    rows = []
    for name, run in content["runs"].items():
        energy, complexity = run["energy_uJ"], run["training_complexity"]
        rows.append(
            [
                f"`{name}`",
                f"{run['accuracy']:.2%}",
                f"{run['mac_reduction']:.2f}×",
                f"{complexity['relative']:.2f}",
                f"{energy['analytic_ratio']:.2f}×",
                f"{energy['pim_ratio']:.2f}×",
                f"{run['parameters']:,}",
                run["ended"],
            ]
        )
    published = content["published"]
    rows.append(
        [
            f"published, {published['network']}",
            "",
            f"~{published['mac_reduction']}×",
            f"{published['training_complexity_relative']}",
            "",
            f"{published['pim_ratio']}×, pruned ~{published['pim_ratio_pruned']}×",
            "",
            "",
        ]
    )
    header = "run|accuracy|bit-weighted MACs|training complexity|analytic energy|PIM energy|parameters|shrinking ended"
    return _markdown(header, rows)


def density_widths() -> str:
    """Widths and channels of every layer, stage by stage."""
    rows = [
        [
            f"`{name}`",
            str(stage["stage"]),
            str(stage["epochs"]),
            f"{stage['accuracy']:.2%}",
            f"{stage['mac_reduction']:.2f}×",
            " ".join(map(str, stage["widths"].values())),
            " ".join(map(str, stage["channels"].values())),
        ]
        for name, run in _load("density")["runs"].items()
        for stage in run["stages"]
    ]
    return _markdown("run|stage|epochs|selection accuracy|bit-weighted MACs|k_l|C_l", rows)


def projection(network: str) -> str:
    """All points of a network, a row each, by panel."""
    content = json.loads((RESULTS / "projection" / f"{network}.json").read_text())
    order = {panel: number for number, panel in enumerate(("post-training", "block-wise", "fine-tuned"))}
    rows = []
    for point in sorted(
        (p for p in content["points"] if "unreachable" not in p),
        key=lambda p: (order[p["panel"]], -p["target_bits"], -p["accuracy"]),
    ):
        trained = [f"{point['block_images']} × {point['block_epochs']}, codecs"] if point["block_epochs"] else []
        if point.get("search_epochs"):
            trained.append(f"{point['search_images']} × {point['search_epochs']}, search")
        if point["epochs"]:
            what = "all" if point["weights"] == "trained" else "codecs"
            trained.append(f"{point['train_images']} × {point['epochs']}, {what}")
        relu = point["bpv_relu"]
        rows.append(
            [
                point["panel"],
                f"`{point['method']}`" + (f", seed {point['seed']}" if point["seed"] else ""),
                f"{point['accuracy']:.2%}",
                f"{point['bpv_stream']:.2f}",
                "" if relu is None else f"{relu:.2f}",
                f"{point['bpv_net']['1']:.2f} / {point['bpv_net']['16']:.2f}",
                " / ".join(f"{point['ratio'][bits]:.1f}" for bits in ("8", "16", "32")),
                f"{point['codec_mac_share']:.1%}",
                "; ".join(trained) or "none",
            ]
        )
    header = (
        "panel|method|accuracy|bpv_stream|ReLU only|bpv_net 1 / 16|× vs 8 / 16 / 32 bit|codec MACs|"
        "images × epochs, what is trained"
    )
    return _markdown(header, rows)


_OURS = ("p1", "p1q", "p1q-mixed", "waterfill", "p3")
"""Methods of the codec; a name behind ``+`` is a stage of training."""
_POINT = 0.01


def within_a_point() -> str:
    """The fewest bits with which each network loses at most a point, by panel; kept tables are fine-tuned."""
    found: dict[tuple[str, str], dict[str, Any]] = {}

    def take(network: str, panel: str, row: dict[str, Any], bound: float) -> None:
        kept = found.get((network, panel))
        if row["accuracy"] >= bound and (kept is None or row["bpv_stream"] < kept["bpv_stream"]):
            found[network, panel] = row

    for path in sorted((RESULTS / "projection").glob("*.json")):
        content = json.loads(path.read_text())
        bound = content["accuracy_float"] - _POINT
        for point in content["points"]:
            if point["method"].split("+")[0] in _OURS and "unreachable" not in point:
                take(content["network"], point["panel"], {**point, "float": content["accuracy_float"]}, bound)
    for kept in _load("headline")["tables"]:
        row = {
            **{"method": kept["method"], "accuracy": kept["accuracy_golden"], "float": kept["accuracy_float"]},
            **{"bpv_stream": kept["bits_per_value"], "bpv_net": kept["bpv_net"]},
        }
        take(kept["network"], "fine-tuned", row, kept["accuracy_float"] - _POINT)
    rows = [
        [
            network,
            panel,
            f"`{row['method']}`",
            f"{row['float']:.2%}",
            f"{row['accuracy']:.2%}",
            f"{row['bpv_stream']:.2f}",
            f"{row['bpv_net']['16']:.2f}",
            f"**{8 / row['bpv_stream']:.2f}×**",
        ]
        for (network, panel), row in sorted(found.items())
    ]
    return _markdown("network|panel|method|uncompressed|accuracy|bpv_stream|bpv_net, batch 16|8 bit ÷ ours", rows)


def memory() -> str:
    """Peaks of resident memory, a column a phase."""
    peaks = _load("memory")["peak_mib"]
    return _markdown("phase|" + "|".join(peaks), [["peak, MiB", *(f"{peak:,}" for peak in peaks.values())]])


def _projections() -> dict[str, Callable[[], str]]:
    names = sorted(path.stem for path in (RESULTS / "projection").glob("*.json"))
    return {f"projection:{name}": functools.partial(projection, name) for name in names}


def joint() -> str:
    """What each part of P3 brings, a row each."""
    rows = []
    for row in _load("joint")["parts"]:
        search = row.get("search")
        rows.append(
            [
                row["part"].replace("-", " ") if row["part"] != "p3" else "**P3 as it is**",
                f"{row['accuracy']:.2%}",
                f"{row['divergence']:.3f}",
                f"{row['bpv_stream']:.2f}",
                str(row["groups"]) if search else "",
                f"{search['before']:.3f} / {search['mixed']:.3f} / {search['whole']:.3f}" if search else "",
                f"{row['codec_mac_share']:.1%}",
            ]
        )
    header = "changed|accuracy|divergence|bpv_stream|groups|selection: start / mixed / whole|codec MACs"
    return _markdown(header, rows)


def headline_recipes() -> str:
    """What stages of training the headline was tried with, one row each."""
    rows = [
        [
            str(run["epochs"]),
            f"{run['rate']:g}",
            f"{run['mixup']:g}",
            f"{run['temperature']:g}",
            f"{run['cross_entropy']:g}",
            f"{run['selection_divergence']:.3f}",
            f"{run['divergence']:.3f}",
            f"{run['agreement']:.2%}",
            f"**{run['accuracy_golden']:.2%}**" if run["kept"] else f"{run['accuracy_golden']:.2%}",
        ]
        for run in _load("headline_recipes")["runs"]
    ]
    header = (
        "epochs|rate|mixup|temperature|cross entropy|divergence, selection|divergence, test"
        "|same class as uncompressed|accuracy"
    )
    return _markdown(header, rows)


def throughput() -> str:
    """Activations and bus words a cycle of every array; a row a transform, widths side by side."""
    content = _load("throughput")
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
    return _markdown(header, rows)


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
    return _markdown("design|kGE|transistors|flip-flops|memories|memory bits", rows)


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
    return _markdown("design|device|LUT4|flip-flops|multipliers|block RAMs|MHz, median|by seed", rows)


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
    return _markdown("block|GE|own GE|flip-flops|memory bits", rows)


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
    rates = {(array["lanes"], array["rows"]): array["points"] for array in _load("throughput")["arrays"]}
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
    return _markdown(header, rows)


def coverage() -> str:
    """Bins of the crosses with each point, and how many were hit, by direction."""
    content = _load("coverage")
    rows = []
    for point, values in content["points"].items():
        row = [point, ", ".join(values)]
        for direction in DIRECTIONS:
            hit, missed = (sum(f"{point}=" in name for name in content[kind][direction]) for kind in ("hits", "holes"))
            row.append(f"{hit} of {hit + missed}")
        rows.append(row)
    totals = [f"{len(content['hits'][d])} of {len(content['hits'][d]) + len(content['holes'][d])}" for d in DIRECTIONS]
    rows.append(["**all**", "", *(f"**{total}**" for total in totals)])
    return _markdown("point|values|encoder, bins hit|decoder, bins hit", rows)


def coverage_holes() -> str:
    """Every bin that no run hit."""
    holes = _load("coverage")["holes"]
    rows = [[direction, name] for direction in DIRECTIONS for name in holes[direction]]
    return _markdown("direction|hole", rows or [["none", ""]])


def cosim() -> str:
    """Co-simulations of real networks: words and cycles of each direction, and what was equal."""
    rows = []
    for path in sorted((RESULTS / "cosim").glob("*.json")):
        result = _load(f"cosim/{path.stem}")
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
    return _markdown(f"run|sites|encoder: {each}|decoder: {each}|cycles of the pass with stalls", rows)


def scaling() -> str:
    """Exponents of every stage of learning and evaluation by what grows, with least and largest times."""
    growth = _load("scaling")["growth"]["axes"]
    rows = []
    for stage in next(iter(growth.values()))["stages"]:
        row = [stage]
        for axis in growth.values():
            timed = axis["stages"][stage]
            first, last = timed["least_seconds"][0], timed["least_seconds"][-1]
            row += [f"**{timed['exponent']:.2f}**", f"{first:.2f} → {last:.2f}"]
        rows.append(row)
    columns = [
        f"{name} {axis['sizes'][0][name]} → {axis['sizes'][-1][name]}: exponent|seconds"
        for name, axis in growth.items()
    ]
    return _markdown("|".join(["stage", *columns]), rows)


def scaling_workers() -> str:
    """The same tasks in one process and on clusters of this machine."""
    found = _load("scaling")["workers"]
    seconds, speed = found["least_seconds"], found["speed_to_this_process"]
    rows = [
        [place, f"{seconds[place]:.2f}", f"**{speed.get(place, 1):.2f}×**", f"{seconds[f'{place}, empty tasks']:.3f}"]
        for place in ("this process", *speed)
    ]
    return _markdown(f"{found['tasks']} tasks on|seconds|speed|seconds, tasks without work", rows)


def codecs(network: str) -> str:
    """Codecs side by side on ``network``: bytes of a frame, time, energy and net."""
    result = _load(f"codecs_{network}")
    rows = []
    for row in result["codecs"]:
        split = ("payload", "padding", "header", "rounding", "modify", "table")
        right = "" if row["correct"] is None else str(row["correct"])
        rows.append(
            [
                f"`{row['codec']}`",
                f"{row['bpv_stream']:.2f}",
                *(f"{row[f'{part}_bytes'] / 1000:.1f}" for part in split),
                f"{row['ratio_8_bit_1']:.2f} / {row['ratio_8_bit_16']:.2f}",
                f"{row['cycles_1'] / 1000:.0f}",
                f"{row['row_hits'] / row['requests']:.1%}",
                *(f"{row[name] / 1e6:.1f}" for name in ("memory_pj_16", "codec_pj_16", "net_pj_1", "net_pj_16")),
                f"{row['net_pj_16 45nm-analytic'] / 1e6:.1f}",
                right,
            ]
        )
    header = (
        "codec|bits/value|payload kB|padding|header|rounding|RMW|tables|vs 8 bit, batch 1 / 16|kcycles|row hits|"
        "memory µJ, 16|codec µJ, 16|net µJ, 1|net µJ, 16|net µJ, 16, analytic|"
        f"right of {result['images']}"
    )
    return _markdown(header, rows)


def _codecs() -> dict[str, Callable[[], str]]:
    names = (path.stem.removeprefix("codecs_") for path in sorted(RESULTS.glob("codecs_*.json")))
    return {f"codecs_{name}": functools.partial(codecs, name) for name in names}


def accelerators(network: str) -> str:
    """Every codec of ``network`` on every accelerator: bytes, time and what bounds it, energy."""
    result = next(found for found in _load("accelerators")["networks"] if found["network"] == network)
    rows = []
    for name, found in result["accelerators"].items():
        for row in found["codecs"]:
            if row["codec"] in ("raw16", "raw32"):
                continue
            energies = ("memory_pj", "memory_weights_pj", "idle_pj", "codec_pj", "net_pj")
            rows.append(
                [
                    f"`{name}`",
                    f"`{row['codec']}`",
                    f"{row['activations_bytes'] / 1000:.1f}",
                    f"{row['weights_bytes'] / 1000:.1f}",
                    f"{row['cycles'] / 1000:.0f}",
                    " / ".join(f"{100 * share:.0f}" for share in row["bounds"].values()),
                    f"{row['utilization']:.0%}",
                    *(f"{row[energy] / 1e6:.1f}" for energy in energies),
                ]
            )
    header = (
        "accelerator|codec|activations kB|weights kB|kcycles|bound by array / memory / decoder / encoder, %|PE use|"
        "DRAM µJ|of it weights|waiting|codec µJ|net µJ"
    )
    return _markdown(header, rows)


def accelerators_time() -> str:
    """Seconds that a network took on each accelerator, all its codecs together."""
    rows = [
        [
            network["network"],
            f"`{name}`",
            str(len(found["codecs"])),
            f"{found['seconds']:.1f}",
            f"{found['processor_seconds']:.1f}",
        ]
        for network in _load("accelerators")["networks"]
        for name, found in network["accelerators"].items()
    ]
    return _markdown("network|accelerator|codecs|seconds|of the processor", rows)


def _accelerators() -> dict[str, Callable[[], str]]:
    names = [network["network"] for network in _load("accelerators")["networks"]]
    return {f"accelerators:{name}": functools.partial(accelerators, name) for name in names}


def imagenet_cost() -> str:
    """Multiplications, values and hours of three networks on ImageNet."""
    rows = [
        [
            name,
            str(found["sites"]),
            f"{found['macs'] / 1e9:.2f} G",
            f"{found['values'] / 1e6:.2f} M",
            f"{found['infer_seconds']:.2f} s",
            f"{found['calibrate_seconds']:.2f} s",
            *(f"{found['hours'][stage]:.1f}" for stage in ("learning", "epochs", "evaluation")),
        ]
        for name, found in _load("imagenet_cost")["networks"].items()
    ]
    header = "network|sites|multiplications|stored values|infer, an image|calibrate, an image"
    return _markdown(f"{header}|learning, h|training, h|evaluation, h", rows)


def imagenet_folds() -> str:
    """Agreement with the uncompressed network by cross-validation, a row a method and target."""
    rows = [
        [
            f"`{row['method']}`",
            f"{row['bpv_stream']:.2f}",
            f"{8 / row['bpv_stream']:.2f}×",
            f"{row['bpv_net']['1']:.2f} / {row['bpv_net']['16']:.2f}",
            f"**{row['agreement'] / row['images']:.1%}**, {row['agreement']} of {row['images']}",
            " – ".join(f"{bound:.1%}" for bound in row["interval"]),
            "∞" if row["logit_sqnr"] is None else f"{row['logit_sqnr']:.1f} dB",
            f"{row['codec_mac_share']:.1%}",
        ]
        for row in _load("imagenet_folds")["rows"]
    ]
    header = "method|bpv_stream|vs 8 bit|bpv_net 1 / 16|agreement|95 % interval|SQNR of logits|codec MACs"
    return _markdown(header, rows)


def pim_cosim() -> str:
    """Convolutions through the macro's Verilog: what was equal, cycles with and without stalls."""
    rows = []
    for run in _load("pim")["cosim"]:
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
    return _markdown(header, rows)


def pim_energy(operands: str) -> str:
    """Energy per MAC of the macro by block and width, beside the published one."""
    rows = _load("pim")["energy"][operands]

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
    return _markdown(f"fJ/MAC|{widths}", found)


def _synth_splits() -> dict[str, Callable[[], str]]:
    return {
        f"synth_blocks:{path.parent.name}": functools.partial(synth_blocks, path.parent.name)
        for path in sorted((RESULTS / "synth").glob("*/synth.json"))
    }


TABLES: dict[str, Callable[[], str]] = {
    "demo": demo,
    "headline_recipes": headline_recipes,
    "joint": joint,
    "headline": headline,
    "training_step": training_step,
    "imagenet_cost": imagenet_cost,
    "imagenet_folds": imagenet_folds,
    "within_a_point": within_a_point,
    "memory": memory,
    "formal": lambda: proofs_table(_load("formal")),
    "formal-mutants": lambda: mutants_table(_load("formal")),
    "throughput": throughput,
    "density": density,
    "density_widths": density_widths,
    "pim_cosim": pim_cosim,
    "pim_energy": functools.partial(pim_energy, "layer_operands"),
    "pim_energy_uniform": functools.partial(pim_energy, "uniform_operands"),
    "synth_gates": synth_gates,
    "synth_fpga": synth_fpga,
    "synth_arrays": synth_arrays,
    "cosim": cosim,
    "scaling": scaling,
    "scaling_workers": scaling_workers,
    "coverage": coverage,
    "coverage_holes": coverage_holes,
    **_projections(),
    **_codecs(),
    "accelerators_time": accelerators_time,
    **_accelerators(),
    **_synth_splits(),
}
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "docs" / "learning.md",
    ROOT / "docs" / "joint.md",
    ROOT / "docs" / "imagenet.md",
    ROOT / "docs" / "results.md",
    ROOT / "docs" / "rtl.md",
    ROOT / "docs" / "pim.md",
    ROOT / "docs" / "synth.md",
    ROOT / "docs" / "formal.md",
    ROOT / "docs" / "cosim.md",
    ROOT / "docs" / "cluster.md",
    ROOT / "docs" / "coverage.md",
    ROOT / "docs" / "traffic.md",
    ROOT / "docs" / "accelerator.md",
    ROOT / "docs" / "density.md",
)


def rendered(text: str) -> str:
    """``text`` with every marked table replaced by what the results give."""
    for name, render in TABLES.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if pattern.search(text):
            table = render()
            text = pattern.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)
    return text


def main() -> None:
    """Rewrite the documents."""
    for document in DOCUMENTS:
        document.write_text(rendered(document.read_text()))


if __name__ == "__main__":
    main()
