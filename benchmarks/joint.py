"""What each part of P3 brings: CIFAR-10 ResNet-20 at one target, a part changed at a time, equal images and epochs.

    python benchmarks/joint.py [--only NAME,…]

writes benchmarks/results/joint.json; points that are there already are not measured again. Every accuracy is that of
the whole test set through the golden codec, evaluated once a point; seed 0.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from actcodec.data import load_dataset
from actcodec.evaluate import float_logits
from actcodec.files import read_json, write_json
from actcodec.networks import load_network
from actcodec.params import load_params
from actcodec.sweep.point import Point, Setting, run_point

ROOT = Path(__file__).parent
RESULT = ROOT / "results" / "joint.json"
BUILD = Path("build") / "joint" / "ablations"
NETWORK, TARGET = "cifar10-resnet20", 2.0
CONFIGS = ROOT / "configs" / "joint"
LARGE = str(ROOT / "configs" / "patch-large.toml")
# Parts in patches: the part that they are otherwise, and the codec: blocks of 16, of 32 in `patch`, of 64 in the large.
PATCHED: dict[str, tuple[str, str]] = {
    "patches": ("p3", "patch"),
    "patches-moments": ("moments", "patch"),
    "patches-no-fisher": ("no-fisher", "patch"),
    "patches-small": ("p3", "default"),
    "patches-small-waterfill": ("waterfill", "default"),
    "patches-waterfill": ("waterfill", "patch"),
    "patches-waterfill-large": ("waterfill", LARGE),
    "patches-waterfill-moments": ("waterfill-moments", "patch"),
}
RECIPES = {
    "p3": "p3+finish",
    "moments": "p3+finish+moments",
    "waterfill": "p3-waterfill",
    "waterfill-moments": "p3-waterfill+moments",
    **{path.stem: f"p3+finish+{path}" for path in CONFIGS.glob("*.toml")},
}
"""Of every part that is not in patches; what a part changes comes last, so that it decides."""
PARTS = ("p3", *sorted({*PATCHED, *RECIPES} - {"p3"}))
_KEPT = ("accuracy", "divergence", "bpv_stream", "bpv_net", "table_bytes", "codec_mac_share")


def _method(part: str) -> str:
    return f"{RECIPES[PATCHED[part][0]]}+patch" if part in PATCHED else RECIPES[part]


def _measure(part: str, setting: Setting) -> dict[str, Any]:
    point = Point(NETWORK, _method(part), TARGET)
    folder = BUILD / part
    found = run_point(point, setting, folder)
    log = folder / "search.json"
    result = {"part": part, **{name: found[name] for name in _KEPT}}
    if log.exists():
        content = read_json(log)
        result["search"] = content["divergence"]
        result["groups"] = sum(map(len, content["sizes"]))
    return result


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="these parts, a,b,c")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = arguments.only.split(",") if arguments.only else PARTS
    test = load_dataset("cifar10", "test")
    expected = float_logits(load_network(NETWORK), test).numpy()
    known = {row["part"]: row for row in read_json(RESULT)["parts"]} if RESULT.exists() else {}
    for part in chosen:
        if part not in known:
            setting = Setting(load_params(PATCHED[part][1] if part in PATCHED else "default"), expected=expected)
            known[part] = _measure(part, setting)
            print(part, f"{known[part]['accuracy']:.2%}", flush=True)
            rows = [known[name] for name in PARTS if name in known]
            write_json(
                RESULT,
                {"command": "python benchmarks/joint.py", "network": NETWORK, "target_bits": TARGET, "parts": rows},
            )


if __name__ == "__main__":
    main()
