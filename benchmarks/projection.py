"""P1 and its rivals on the same network, images and accounting: the points of docs/results.md.

    python benchmarks/projection.py NETWORK [--jobs 2]

writes benchmarks/results/projection/NETWORK.json and .svg; points that are there already are not measured again. Plans,
tables and greedy logs stay in build/projection. Every accuracy is that of the whole test set, evaluated once a point.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from actcodec.data import load_dataset
from actcodec.evaluate import float_logits
from actcodec.files import read_json, write_json
from actcodec.networks import load_network
from actcodec.params import load_params
from actcodec.sweep.plot import draw
from actcodec.sweep.point import Point, Setting
from actcodec.sweep.run import run_sweep

RESULTS = Path(__file__).parent / "results" / "projection"
BUILD = Path("build") / "projection"
LOSSLESS = ("raw8", "zvc", "rle", "ebpc")
LOW, ALL = (3.0, 2.5), (4.0, 3.0, 2.5)

Wanted = dict[str, Sequence[float]]


def _with(stage: str, methods: Wanted) -> Wanted:
    return {f"{method}+{stage}": targets for method, targets in methods.items()}


_RESNET20: Wanted = {
    **dict.fromkeys(LOSSLESS, (8.0,)),
    **dict.fromkeys(("p1", "uniform", "equal-variance"), (6.0, 5.0, 4.0, 3.0, 2.5)),
    **dict.fromkeys(("p1q", "p1q-mixed", "waterfill", "identity", "density", "dct", "transform-coding"), ALL),
    "lsq": (4.0, 3.0),
    **_with("moments", {"waterfill": LOW, "lsq": (3.0,)}),
    **_with("block", dict.fromkeys(("p1", "uniform", "equal-variance", "p1q", "p1q-mixed", "waterfill"), ALL)),
    **_with("block", {"lsq": (4.0, 3.0)}),
    **_with("tuned", dict.fromkeys(("p1", "uniform", "equal-variance"), ALL)),
    **_with("tuned", dict.fromkeys(("p1q", "p1q-mixed", "waterfill", "cat+narrow"), LOW)),
    **_with("tuned", {"density": (4.0, 3.0)}),
    **_with("tuned", dict.fromkeys(("lsq", "lsq-zvc", "lsq-ebpc"), (3.0, 2.0))),
    # As many epochs as the others' training stage, half of them searching.
    **_with("finish", {"p3": (3.0, 2.5, 2.0, 1.5), "mp-only": (3.0, 2.5, 2.0)}),
}
_ONE_EACH: Wanted = {
    **dict.fromkeys(LOSSLESS, (8.0,)),
    **dict.fromkeys(("p1q-mixed", "waterfill"), (4.0, 3.0)),
    **_with("moments", {"waterfill": (3.0,)}),
    **_with("block", {"p1q-mixed": (4.0, 3.0)}),
}
# Stored in patches, with a codec of larger blocks; search and training have the others' epochs together.
_PATCHED: Wanted = {
    "waterfill+patch": (3.0, 2.5, 2.0, 1.5),
    "waterfill+moments+patch": (3.0, 2.5, 2.0, 1.5),
    "p3+finish+patch": (3.0, 2.5, 2.0, 1.5),
    "p3-waterfill+patch": (3.0, 2.5, 2.0, 1.5),
}
_PATCHED_ONCE: Wanted = {"p3+finish+patch": (2.0,)}


@dataclass(frozen=True)
class _Measured:
    """What is measured of a network: points with its codec, points in patches with that of `configs/codec/patch.toml`.

    ``seeds`` are headlines, from several seeds; bfloat16 saves a third of their hours.
    """

    wanted: Wanted
    patched: Wanted
    codec: str = "default"
    patch_codec: str = "patch"
    checkpoint: Path | None = None
    seeds: Mapping[str, tuple[float, Sequence[int]]] = field(default_factory=dict)

    def points(self, network: str) -> list[tuple[Point, str]]:
        """Every point with its codec."""
        found = [
            (Point(network, method, target), codec)
            for codec, wanted in ((self.codec, self.wanted), (self.patch_codec, self.patched))
            for method, targets in wanted.items()
            for target in targets
        ]
        for method, (target, seeds) in self.seeds.items():
            codec = self.patch_codec if "patch" in method.split("+") else self.codec
            found += [(Point(network, method, target, seed), codec) for seed in seeds]
        return found


CHECKPOINTS = Path("benchmarks/checkpoints")
NETWORKS = {
    "cifar10-resnet20": _Measured(
        _RESNET20,
        _PATCHED,
        seeds={
            "p1q+long+bfloat16": (2.5, (1, 2)),
            "p3+patch+long+half+bfloat16": (2.0, (0, 1, 2)),
        },
    ),
    "cifar10-resnet56": _Measured(_ONE_EACH, _PATCHED_ONCE),
    "cifar10-vgg16-w0.25": _Measured(
        {**_ONE_EACH, **_with("tuned", {"p1q-mixed": (4.0, 3.0, 2.0)})},
        {"p3+finish+patch": (2.5, 2.0)},
        checkpoint=CHECKPOINTS / "cifar10-vgg16-w0.25.safetensors",
    ),
    "cifar10-mobilenetv2-w0.5": _Measured(
        {**_ONE_EACH, **_with("tuned", {"p1q-mixed": (4.0, 3.0)})},
        _PATCHED_ONCE,
        # The last convolution has 1,280 channels, whatever the width.
        codec="benchmarks/configs/imagenet.toml",
        patch_codec="benchmarks/configs/imagenet-patch.toml",
        checkpoint=CHECKPOINTS / "cifar10-mobilenetv2-w0.5.safetensors",
    ),
}


def _key(result: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(result[field] for field in ("method", "target_bits", "seed"))


def _known(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {_key(result): result for result in read_json(path)["points"]} if path.exists() else {}


def main() -> None:
    """Run the points of one network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--methods", help="only these, a,b,c")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    name: str = arguments.network
    measured = NETWORKS[name]
    codecs = dict(measured.points(name))
    everything = list(codecs)
    methods = arguments.methods.split(",") if arguments.methods else [point.method for point in everything]
    points = [point for point in everything if point.method in methods]
    if unknown := set(methods) - {point.method for point in points}:
        parser.error(f"{name} has no points of {', '.join(sorted(unknown))}")
    network = load_network(name, checkpoint=measured.checkpoint)
    test = load_dataset(network.dataset, "test")
    expected = float_logits(network, test).numpy()
    accuracy = float(np.mean(expected.argmax(1) == test.labels))
    path = RESULTS / f"{name}.json"
    known = _known(path)
    missing = [point for point in points if _key(asdict(point)) not in known]
    found: list[dict[str, Any]] = []
    for codec in (measured.codec, measured.patch_codec):
        setting = Setting(load_params(codec), checkpoint=measured.checkpoint, expected=expected)
        chosen = [point for point in missing if codecs[point] == codec]
        results = run_sweep(chosen, setting, BUILD / name, arguments.jobs, lambda line: print(line, flush=True))
        found += results if codec == measured.codec else [{**result, "codec": codec} for result in results]
    # Read again: other points may have been measured meanwhile.
    known = _known(path) | {_key(result): result for result in found}
    results = [known[_key(asdict(point))] for point in everything if _key(asdict(point)) in known]
    content = {
        "command": f"python benchmarks/projection.py {name}",
        "network": name,
        "codec": measured.codec,
        "accuracy_float": accuracy,
        "points": results,
    }
    write_json(path, content)
    draw(results, accuracy, RESULTS / f"{name}.svg")


if __name__ == "__main__":
    main()
