"""Memory of learning and golden evaluation does not grow with the number of images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Images themselves are 784 bytes each, and the ranges keep a sample a batch; a batch's activations and its graph of
# gradients take about 40 MiB, so one more of them that was kept would show.
MOST_MIB = 24

RUN = """
import resource
import tempfile
from pathlib import Path
import torch
from actcodec.data import load_dataset
from actcodec.evaluate import evaluate
from actcodec.export import export_tables
from support.learning import network, quick_plan

torch.set_num_threads(1)

def peak(images):
    plan = quick_plan(3.0, calibration_images=images, selection_images=250, epochs=0)
    with tempfile.TemporaryDirectory() as folder:
        tables = export_tables(plan, Path(folder) / "tables", max_mac_share=1.0)
    evaluate(network(), load_dataset("mnist", "test").head(images), "golden", tables=tables, progress=False)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

# The second round of the same size is what first rounds of anything take: compiled loops, pools, caches.
peak(128)
print(peak(128), peak(640))
"""


def test_the_peak_is_that_of_a_batch(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=True)
    few, many = (int(word) for word in run.stdout.split())
    assert many - few <= MOST_MIB
