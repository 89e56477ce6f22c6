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
        if point["epochs"]:
            what = "all" if point["weights"] == "trained" else "codecs"
            trained.append(f"{point['train_images']} × {point['epochs']}, {what}")
        relu = point["bpv_relu"]
        rows.append(
            [
                point["panel"],
                f"`{point['method']}`",
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


def _projections() -> dict[str, Callable[[], str]]:
    names = sorted(path.stem for path in (RESULTS / "projection").glob("*.json"))
    return {f"projection:{name}": functools.partial(projection, name) for name in names}


TABLES: dict[str, Callable[[], str]] = {
    "demo": demo,
    "headline": headline,
    "training_step": training_step,
    **_projections(),
}
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "learning.md", ROOT / "docs" / "results.md")


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
