"""Memory of calibration and golden evaluation does not grow with the number of images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# A batch of 64 images and its graph of gradients take about 60 MiB; the ranges keep 0.4 MiB of samples a batch.
MOST_MIB = 16

# Freed memory goes back at once: what is measured is what is held, not the holes of malloc's heap.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_TOP_PAD_": "0"}

RUN = """
import resource
import tempfile
from pathlib import Path
import torch
from actcodec.evaluate import evaluate
from actcodec.export import export_tables
from actcodec.learn.batches import input_batches
from actcodec.learn.calibrate import calibrate
from actcodec.learn.quantize8 import choose_ranges
from actcodec.networks import sited_network
from support.learning import network, quick_plan, training

torch.set_num_threads(1)
sited = sited_network(network())

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

def calibrated(count):
    def batches():
        return input_batches(network(), training().images[:count], 64, "", False)

    ranges = choose_ranges(sited, batches(), 0)
    calibrate(sited, ranges, batches(), images=count, block=16, seed=0, positions=1024)
    return peak()

def evaluated(count):
    evaluate(network(), training().head(count), "golden", tables=tables, progress=False)
    return peak()

print(calibrated(128), calibrated(512))
with tempfile.TemporaryDirectory() as folder:
    tables = export_tables(quick_plan(3.0), Path(folder) / "tables", max_mac_share=1.0)
print(evaluated(100), evaluated(400))
"""


def test_the_peak_is_that_of_a_batch() -> None:
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, **MALLOC, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-4000:]
    for line in run.stdout.splitlines():
        few, many = (int(word) for word in line.split())
        assert many - few <= MOST_MIB, run.stdout
