"""The tables of results in README.md and docs/, rendered from benchmarks/results.

    python benchmarks/tables.py      rewrites the text between the markers <!-- NAME --> and <!-- /NAME -->

A test checks that the documents are up to date.
"""

from __future__ import annotations

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
    """Accuracy and traffic of the demo and of ResNet-20, one row each."""
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
    for case in _load("learning")["cases"]:
        if case["network"] == "cifar10-resnet20" and case["transform"] == "fisher":
            rows.append(
                [
                    "CIFAR-10 ResNet-20, fine-tuned codec",
                    f"{case['test_images']:,}",
                    f"{case['accuracy']['float']:.2%}",
                    f"**{case['accuracy']['golden']:.2%}**",
                    f"**{case['bpv_stream']:.2f}**",
                    f"{case['bpv_net']['1']:.2f} / {case['bpv_net']['16']:.2f}",
                    *(f"{bits / case['bpv_stream']:.1f}×" for bits in (8, 16, 32)),
                    "",
                ]
            )
    header = (
        "network|test images|float|through the codec|bpv_stream|bpv_net, batch 1 / 16|"
        "vs 8 bit|vs 16 bit|vs 32 bit|DRAM bytes vs raw 8 bit"
    )
    return _markdown(header, rows)


def learning() -> str:
    """All cases of benchmarks/learning.py."""
    rows = [
        [
            case["network"],
            case["transform"],
            f"{case['epochs']} × {case['images']}" if case["epochs"] else "none",
            f"{case['bpv_stream']:.2f}",
            f"{case['bpv_net']['1']:.2f} / {case['bpv_net']['16']:.2f}",
            f"{case['accuracy']['float']:.2%}",
            f"{case['accuracy']['int8']:.2%}",
            f"{case['accuracy']['golden']:.2%}",
            f"{case['accuracy']['golden_w8']:.2%}",
            f"{case['divergence']['golden']:.4f}",
            f"{case['projected_sites']} of {case['sites']}",
            f"{case['codec_mac_share']:.1%}",
        ]
        for case in _load("learning")["cases"]
    ]
    header = (
        "network|basis|fine-tuning (epochs × images)|bpv_stream|bpv_net 1 / 16|float|8 bit|golden|golden, W8|"
        "KL (nats)|projected|codec MACs"
    )
    return _markdown(header, rows)


TABLES: dict[str, Callable[[], str]] = {"demo": demo, "headline": headline, "learning": learning}
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "learning.md")


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
