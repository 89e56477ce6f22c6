"""MobileNetV2 at 224×224 by five-fold cross-validation: agreement with the uncompressed network, SQNR of logits.

    python benchmarks/imagenet_folds.py [--methods raw8,ebpc,waterfill] [--folds 0,1,2,3,4]

Every fold learns on 200 of the 250 images of `imagenet_sample` and is measured on the other 50, through the golden
codec. Labels are no fair measure here (the images are most likely from the training set), so agreement counts: its 95 %
interval is Wilson's over the images of all folds together. Points that are in build/imagenet-folds are not measured
again; what there is goes to benchmarks/results/imagenet_folds.json. MobileNetV2 takes minutes a point.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from actcodec.data.imagenet_sample import FOLDS, fold_name
from actcodec.fidelity import agreement_interval
from actcodec.files import read_json, write_json
from actcodec.params import load_params
from actcodec.sweep.point import BATCHES, Point, Setting
from actcodec.sweep.run import FAILURE, RESULT, run_sweep

ROOT = Path(__file__).parent
RESULTS = ROOT / "results" / "imagenet_folds.json"
BUILD = Path("build") / "imagenet-folds"
NETWORK = "imagenet-mobilenetv2"
CODEC = ROOT / "configs" / "imagenet.toml"
METHODS: dict[str, Sequence[float]] = {
    "raw8": (8.0,),
    "ebpc": (8.0,),
    "lsq": (4.0,),
    "waterfill": (4.0, 3.5, 3.0),
    "waterfill+block": (4.0, 3.0),
    "p1q-mixed": (4.0, 3.0),
    "p3": (3.0,),
}


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


def main() -> None:
    """Measure what is missing and write what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default=",".join(METHODS), help="only these, a,b,c")
    parser.add_argument("--folds", default=",".join(map(str, range(FOLDS))), help="only these, a,b,c")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wanted = [Point(NETWORK, method, target) for method in arguments.methods.split(",") for target in METHODS[method]]
    for fold in map(int, arguments.folds.split(",")):
        setting = Setting(load_params(CODEC), dataset=fold_name(fold))
        run_sweep(
            wanted, setting, BUILD / f"fold{fold}", 1, lambda line, fold=fold: print(f"fold {fold}: {line}", flush=True)
        )
    rows = []
    for method, targets in METHODS.items():
        for target in targets:
            point = Point(NETWORK, method, target)
            paths = [BUILD / f"fold{fold}" / point.name / RESULT for fold in range(FOLDS)]
            found = [result for path in paths if path.exists() and FAILURE not in (result := read_json(path))]
            if found:
                rows.append(pooled(found))
    write_json(RESULTS, {"command": "python benchmarks/imagenet_folds.py", "network": NETWORK, "rows": rows})


if __name__ == "__main__":
    main()
