"""The tables of results in README.md and docs/, rendered from benchmarks/results.

    python benchmarks/tables.py      rewrites the text between the markers <!-- NAME --> and <!-- /NAME -->

A test checks that the documents are up to date.
"""

from __future__ import annotations

import re

from pages import hardware, learning, scale, traffic
from pages.common import ROOT, Tables

TABLES: Tables = learning.TABLES | hardware.TABLES | traffic.TABLES | scale.TABLES
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
