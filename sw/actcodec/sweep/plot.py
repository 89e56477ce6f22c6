"""The rate–accuracy plot of a sweep, a panel a way of training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

from actcodec.files import atomic_path
from actcodec.sweep.run import FAILURE

PANELS = ("post-training", "block-wise", "fine-tuned")
_MARKERS = "osD^v<>PX*hdp"


def draw(results: Sequence[dict[str, Any]], float_accuracy: float, path: Path) -> None:
    """Write accuracy over bpv_stream of all ``results`` to ``path`` (SVG or PNG by its ending)."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    # The same drawing gives the same bytes.
    matplotlib.rcParams.update({"svg.hashsalt": "actcodec", "font.size": 8})
    panels = [p for p in PANELS if any(r.get("panel") == p for r in results)]
    # A method looks the same in every panel.
    methods = sorted({str(result["method"]).split("+")[0] for result in results})
    figure, axes = plt.subplots(1, len(panels), figsize=(5.2 * len(panels), 4.2), sharey=True, squeeze=False)
    for axis, panel in zip(axes[0], panels, strict=True):
        lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for result in results:
            if result.get("panel") == panel and FAILURE not in result:
                lines[result["method"].split("+")[0]].append((result["bpv_stream"], 100 * result["accuracy"]))
        for method, dots in sorted(lines.items()):
            number, ours = methods.index(method), method in ("p1", "p1q", "p1q-mixed", "p3")
            axis.plot(
                *zip(*sorted(dots), strict=True),
                marker=_MARKERS[number % len(_MARKERS)],
                color=plt.get_cmap("tab20")(number % 20),
                label=method,
                linewidth=2.2 if ours else 1,
                markersize=5,
                alpha=1 if ours else 0.75,
            )
        axis.axhline(100 * float_accuracy, color="black", linewidth=0.8, linestyle="--")
        axis.set(title=panel, xlabel="bits a value (bpv_stream)", xlim=(1, 8.3))
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    axes[0][0].set_ylabel("test accuracy, %")
    axes[0][0].set_ylim(max(100 * float_accuracy - 16, 0), 100 * float_accuracy + 1)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
