"""The trajectory of a search as a picture: bits of every group over the steps, a panel a site."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib

from actcodec.files import atomic_path, read_json

_COLUMNS = 5


def draw_trajectory(log: Path, path: Path) -> None:
    """Draw the log of a search (`SearchLog`) into ``path``, SVG or PNG by its ending.

    A line a group, as wide as its share of the site's coefficients; the last panel is bits a value and the price of a
    bit. Raises ActcodecError where the log cannot be read.
    """
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    # The same drawing gives the same bytes.
    matplotlib.rcParams.update({"svg.hashsalt": "actcodec", "font.size": 7})
    content: dict[str, Any] = read_json(log)
    records, sites = content["trajectory"], content["sites"]
    steps = [record["step"] for record in records]
    rows = math.ceil((len(sites) + 1) / _COLUMNS)
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(2.6 * _COLUMNS, 1.7 * rows), sharex=True, squeeze=False)
    flat = list(axes.flat)
    for number, (site, sizes) in enumerate(zip(sites, content["sizes"], strict=True)):
        axis, total = flat[number], sum(sizes)
        for group, size in enumerate(sizes):
            widths = [record["widths"][number][group] for record in records]
            colour = plt.get_cmap("viridis")(group / max(len(sizes) - 1, 1))
            axis.plot(steps, widths, color=colour, linewidth=0.6 + 3 * size / total)
        axis.set(title=f"{site}: {len(sizes)} groups of {total}", ylim=(-0.2, 8.2))
        axis.grid(alpha=0.3)
    last = flat[len(sites)]
    last.plot(steps, [record["bits"] for record in records], color="black")
    last.set(title="bits a value; price of a bit (dashed)", ylim=(0, None))
    price = last.twinx()
    price.plot(steps, [record["price"] for record in records], color="tab:red", linestyle="--")
    for unused in flat[len(sites) + 1 :]:
        unused.set_axis_off()
    for axis in axes[-1]:
        axis.set_xlabel("step")
    for row in axes:
        row[0].set_ylabel("bits")
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
