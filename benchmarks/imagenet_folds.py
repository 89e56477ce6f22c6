"""MobileNetV2 at 224×224 by five-fold cross-validation: agreement with the uncompressed network, SQNR of logits.

    python benchmarks/imagenet_folds.py [--methods raw8,ebpc,waterfill+sample] [--folds 0,1,2,3,4]

Every fold learns on 200 of the 250 images of `imagenet_sample` and is measured on the other 50, through the golden
codec. Labels are no fair measure here (the images are most likely from the training set), so agreement counts: its 95 %
interval is Wilson's over the images of all folds together. Points that are in benchmarks/results/imagenet_folds.json
are not measured again. MobileNetV2 takes minutes a point.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from actcodec.data.imagenet_sample import FOLDS, fold_name
from actcodec.fidelity import agreement_interval
from actcodec.files import read_json, write_json
from actcodec.params import load_params
from actcodec.sweep.point import BATCHES, Point, Setting
from actcodec.sweep.run import FAILURE, run_sweep

ROOT = Path(__file__).parent
RESULTS = ROOT / "results" / "imagenet_folds.json"
BUILD = Path("build") / "imagenet-folds"
NETWORK = "imagenet-mobilenetv2"
CONFIGS = ROOT / "configs"
CODEC = CONFIGS / "imagenet.toml"


def _sum(method: str, *stages: str) -> str:
    return "+".join([method, *(str(CONFIGS / f"{stage}.toml") for stage in ("sample", *stages))])


METHODS: dict[str, Sequence[float]] = {
    "raw8": (8.0,),
    "ebpc": (8.0,),
    _sum("lsq"): (4.0, 3.0),
    _sum("waterfill"): (5.0, 4.0, 3.0),
    _sum("lsq+moments"): (4.0, 3.0),
    _sum("waterfill+moments"): (5.0, 4.0, 3.0),
    _sum("p1q-mixed+moments"): (4.0, 3.0),
    _sum("waterfill+moments", "few"): (3.0,),
    _sum("p3+moments", "few", "few-search"): (3.0,),
}
"""Recipes with their stages, and stream bits a value."""


def _short(method: str) -> str:
    return "+".join(Path(part).stem for part in method.split("+"))


def pooled(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One row of ``results``, the folds of one method and target."""
    images = sum(result["test_images"] for result in results)
    agree = sum(round(result["agreement"] * result["test_images"]) for result in results)
    noisy = [result["logit_sqnr"] for result in results if result["logit_sqnr"] is not None]
    return {
        "method": results[0]["method"],
        "target_bits": results[0]["target_bits"],
        "folds": len(results),
        "images": images,
        "agreement": agree,
        "interval": agreement_interval(agree, images),
        "logit_sqnr": fmean(noisy) if noisy else None,
        "bpv_stream": fmean(result["bpv_stream"] for result in results),
        "bpv_net": {str(batch): fmean(result["bpv_net"][str(batch)] for result in results) for batch in BATCHES},
        "codec_mac_share": fmean(result["codec_mac_share"] for result in results),
        "by_fold": [result["agreement"] for result in results],
    }


def _known() -> dict[tuple[int, str, float], dict[str, Any]]:
    points = read_json(RESULTS)["points"] if RESULTS.exists() else []
    return {(point["fold"], point["method"], point["target_bits"]): point for point in points}


def _keep(fold: int, measured: Sequence[dict[str, Any]]) -> None:
    """Put what was measured into the file of results, beside what is there."""
    known = _known()
    for result in measured:
        if FAILURE not in result:
            point = {"fold": fold, **result, "method": _short(result["method"])}
            known[fold, point["method"], point["target_bits"]] = point
    wanted = [(_short(method), target) for method, targets in METHODS.items() for target in targets]
    of_method = [[known[fold, *each] for fold in range(FOLDS) if (fold, *each) in known] for each in wanted]
    content = {
        "command": "python benchmarks/imagenet_folds.py",
        "network": NETWORK,
        "rows": [pooled(points) for points in of_method if points],
        "points": [point for points in of_method for point in points],
    }
    write_json(RESULTS, content)


def main() -> None:
    """Measure what is missing and write what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = {_short(method): method for method in METHODS}
    parser.add_argument("--methods", default=",".join(names), help=f"only these, a,b,c (default: {','.join(names)})")
    parser.add_argument("--folds", default=",".join(map(str, range(FOLDS))), help="only these, a,b,c")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wanted = [(name, target) for name in arguments.methods.split(",") for target in METHODS[names[name]]]
    for fold in map(int, arguments.folds.split(",")):
        known = _known()
        points = [Point(NETWORK, names[name], target) for name, target in wanted if (fold, name, target) not in known]
        setting = Setting(load_params(CODEC), dataset=fold_name(fold))
        report = partial(print, f"fold {fold}:", flush=True)
        _keep(fold, run_sweep(points, setting, BUILD / f"fold{fold}", 1, report))


if __name__ == "__main__":
    main()
