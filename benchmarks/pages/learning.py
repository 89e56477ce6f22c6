"""Accuracy and rate: the demo, the points of every network, joint learning, activation density."""

from __future__ import annotations

import functools
import json
from typing import Any

from pages.common import RESULTS, Tables, load, markdown


def demo() -> str:
    """The demo's summary, site by site."""
    summary = load("demo")
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
    return markdown(header, rows)


def headline() -> str:
    """Accuracy and traffic of the demo and of the kept tables, one row each."""
    summary = load("demo")
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
    for kept in load("headline")["tables"]:
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
    return markdown(header, rows)


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
        for run in load("headline_recipes")["runs"]
    ]
    header = (
        "epochs|rate|mixup|temperature|cross entropy|divergence, selection|divergence, test"
        "|same class as uncompressed|accuracy"
    )
    return markdown(header, rows)


def training_step() -> str:
    """Ratios to the plain training step."""
    ratios = load("training_step")["ratio_to_plain"]
    return markdown("step|ratio to the plain one", [[name, f"{ratio:.2f}×"] for name, ratio in ratios.items()])


def projection(network: str) -> str:
    """All points of a network, a row each, by panel."""
    content = json.loads((RESULTS / "projection" / f"{network}.json").read_text())
    order = {panel: number for number, panel in enumerate(("post-training", "block-wise", "fine-tuned"))}
    rows = []
    for point in sorted(
        (p for p in content["points"] if "unreachable" not in p),
        key=lambda p: (order[p["panel"]], -p["target_bits"], -p["accuracy"]),
    ):
        trained = [f"{point['moment_images']}, moments"] if point.get("moment_images") else []
        if point["block_epochs"]:
            trained.append(f"{point['block_images']} × {point['block_epochs']}, codecs")
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
    return markdown(header, rows)


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
    for kept in load("headline")["tables"]:
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
    return markdown("network|panel|method|uncompressed|accuracy|bpv_stream|bpv_net, batch 16|8 bit ÷ ours", rows)


def joint() -> str:
    """What each part of P3 brings, a row each."""
    rows = []
    for row in load("joint")["parts"]:
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
    return markdown(header, rows)


def patches() -> str:
    """What blocks of several pixels could save."""
    rows = load("patches")["bits_at_equal_loss"]
    header = "|".join(["block", *(f"bits at the loss of {next(iter(row.values())):.1f}" for row in rows)])
    return markdown(header, [[name, *(f"{row[name]:.2f}" for row in rows)] for name in rows[0]])


def _density_runs() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (network.removeprefix("cifar10-"), name, run)
        for network, runs in load("density")["networks"].items()
        for name, run in runs.items()
    ]


def density() -> str:
    """What activation-density training came to: a row a run, the published figures below."""
    content = load("density")
    rows = []
    for network, name, run in _density_runs():
        energy, complexity = run["energy_uJ"], run["training_complexity"]
        rows.append(
            [
                network,
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
            published["network"],
            "published",
            "",
            f"~{published['mac_reduction']}×",
            f"{published['training_complexity_relative']}",
            "",
            f"{published['pim_ratio']}×, pruned ~{published['pim_ratio_pruned']}×",
            "",
            "",
        ]
    )
    header = "network|run|accuracy|bit-weighted MACs|training complexity|analytic energy|PIM energy|parameters"
    return markdown(f"{header}|shrinking ended", rows)


def density_widths() -> str:
    """Widths and channels of every layer, stage by stage."""
    rows = [
        [
            network,
            f"`{name}`",
            str(stage["stage"]),
            str(stage["epochs"]),
            f"{stage['accuracy']:.2%}",
            f"{stage['mac_reduction']:.2f}×",
            " ".join(map(str, stage["widths"].values())),
            " ".join(map(str, stage["channels"].values())),
        ]
        for network, name, run in _density_runs()
        for stage in run["stages"]
    ]
    return markdown("network|run|stage|epochs|selection accuracy|bit-weighted MACs|k_l|C_l", rows)


def _projections() -> Tables:
    names = sorted(path.stem for path in (RESULTS / "projection").glob("*.json"))
    return {f"projection:{name}": functools.partial(projection, name) for name in names}


TABLES: Tables = {
    "demo": demo,
    "headline": headline,
    "headline_recipes": headline_recipes,
    "training_step": training_step,
    "within_a_point": within_a_point,
    "joint": joint,
    "patches": patches,
    "density": density,
    "density_widths": density_widths,
    **_projections(),
}
