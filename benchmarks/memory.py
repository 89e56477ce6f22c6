"""Peak resident memory of learning and golden evaluation at 224×224, phase by phase.

    python benchmarks/memory.py      writes benchmarks/results/memory.json

MobileNetV2 over the 250 images of `imagenet-sample` by the recipe `waterfill`, the functions that `actcodec learn`,
`export` and `eval --golden` call, in one process of one thread. A phase's peak is the kernel's high-water mark of
resident memory (VmHWM), set back before each, so it holds what earlier phases left behind. Linux only.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

PHASES: dict[str, int] = {}


def end_phase(name: str) -> None:
    """Note the peak since the phase before, MiB, and set it back."""
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    PHASES[name] = round(int(peak.split()[1]) / 1024)
    print(f"{name}: {PHASES[name]} MiB", file=sys.stderr, flush=True)
    Path("/proc/self/clear_refs").write_text("5")


def ending(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` with the end of a phase behind it."""

    def run(*arguments: Any, **options: Any) -> Any:
        result = function(*arguments, **options)
        end_phase(name)
        return result

    return run


def main() -> None:
    """Measure and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--test-images", type=int, default=50)
    arguments = parser.parse_args()

    import numpy as np
    import torch

    from actcodec.data import Dataset, load_dataset
    from actcodec.evaluate import evaluate
    from actcodec.export import export_tables
    from actcodec.learn import flow, load_recipe
    from actcodec.networks import load_network
    from actcodec.params import load_params

    here = Path(__file__).parent
    torch.set_num_threads(1)
    end_phase("import")
    network = load_network("imagenet-mobilenetv2")
    train, test = (load_dataset("imagenet-sample", split) for split in ("train", "test"))
    both = Dataset(
        train.name,
        np.concatenate([train.images, test.images]),
        np.concatenate([train.labels, test.labels]),
        train.classes,
    )
    end_phase("load")
    flow.calibrate = ending("calibration", flow.calibrate)
    params = load_params(str(here / "configs" / "imagenet.toml"))
    plan = flow.learn(network, both, 4.0, recipe=load_recipe("waterfill"), params=params)
    end_phase("allocation")
    with tempfile.TemporaryDirectory() as folder:
        tables = export_tables(plan, Path(folder) / "tables", max_mac_share=1.0)
    end_phase("export")
    evaluate(network, test.head(arguments.test_images), "golden", tables=tables)
    end_phase("golden evaluation")
    result = {
        "command": "python benchmarks/memory.py",
        "network": network.name,
        "images": len(both),
        "test_images": arguments.test_images,
        "peak_mib": PHASES,
    }
    (here / "results" / "memory.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
