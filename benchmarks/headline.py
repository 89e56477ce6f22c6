"""The tables that are kept in benchmarks/results/tables, evaluated through the golden model on the whole test set.

    python benchmarks/headline.py      writes benchmarks/results/headline.json

What it does for each is `actcodec eval --golden --tables DIR --data cifar10 --json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from actcodec.data import load_dataset
from actcodec.evaluate import evaluate
from actcodec.files import WEIGHTS, write_json
from actcodec.networks import load_network
from actcodec.tables import digest_of, load_tables

RESULTS = Path(__file__).parent / "results"
CHECKPOINTS = Path(__file__).parent / "checkpoints"


def run(folder: Path) -> dict[str, Any]:
    """Evaluate the tables in ``folder``."""
    tables = load_tables(folder)
    name = tables.provenance.network
    own = CHECKPOINTS / f"{name}.safetensors"
    original = load_network(name, checkpoint=own if own.exists() else None)
    tuned = load_network(name, checkpoint=folder / WEIGHTS) if (folder / WEIGHTS).exists() else original
    test = load_dataset(original.dataset, "test")
    golden = evaluate(tuned, test, "golden", tables=tables)
    return {
        "tables": folder.name,
        "network": name,
        "method": tables.provenance.method,
        "seed": tables.provenance.seed,
        "images": golden.images,
        "accuracy_float": evaluate(original, test, "float").accuracy,
        "accuracy_golden": golden.accuracy,
        "accuracy_golden_w8": evaluate(tuned, test, "golden", tables=tables, weights="w8").accuracy,
        "bits_per_value": tables.bpv_stream,
        "bpv_relu": tables.bpv_relu,
        "bpv_net": {str(batch): tables.bpv_net(batch) for batch in (1, 16)},
        "codec_mac_share": tables.provenance.codec_mac_share,
        "digest": digest_of(tables),
    }


def main() -> None:
    """Evaluate all kept tables."""
    torch.set_num_threads(1)
    found = [run(folder) for folder in sorted((RESULTS / "tables").iterdir())]
    write_json(RESULTS / "headline.json", {"command": "python benchmarks/headline.py", "tables": found})
    for result in found:
        print(result["tables"], result["accuracy_golden"], result["bits_per_value"])


if __name__ == "__main__":
    main()
