"""How the cost of learning and of evaluation grows with images, sites and channels, and what workers bring.

    PYTHONPATH=tests python benchmarks/scaling.py      writes benchmarks/results/scaling.json

Residual networks with random weights on the embedded images, 28×28 positions a site: one of the three numbers grows,
the others stay. Processor seconds of one thread, the least of interleaved rounds; an exponent is the slope of the
logarithms' least squares line. Tasks go to workers on this machine (`support.cluster`), in wall-clock seconds: what
they bring depends on what else runs on its cores, so ratios of least times over interleaved rounds are given.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from actcodec.cluster import Task, run_tasks
from actcodec.data import Dataset, load_dataset
from actcodec.evaluate import evaluate, float_logits
from actcodec.export.integers import integer_tables
from actcodec.files import read_json, write_json
from actcodec.learn import LearnRecipe, learn
from actcodec.learn.allocation.greedy import Greedy
from actcodec.learn.allocation.waterfill import allocate
from actcodec.learn.batches import input_batches
from actcodec.learn.build import build_site
from actcodec.learn.calibrate import SiteStatistics, calibrate
from actcodec.learn.draft import StreamSettings
from actcodec.learn.option import plain_options, projection
from actcodec.learn.quantize8 import choose_ranges
from actcodec.learn.tuning.layer import CodecLayer
from actcodec.networks import Network, sited_network
from actcodec.networks.own import module_network
from actcodec.networks.resnet_cifar import ResNet
from actcodec.networks.stages import StagedNetwork
from actcodec.params import CodecParams
from support.cluster import running_cluster

RESULT = Path(__file__).parent / "results" / "scaling.json"
SETTINGS = StreamSettings(CodecParams())
TARGET_BITS = 4.0
GREEDY_BITS = 7.5
QUICK = LearnRecipe(allocation="uniform", transform="pca", calibration_images=32, selection_images=16, positions=1024)


@dataclass(frozen=True)
class Size:
    """A case: ``blocks`` residual blocks are 2·blocks + 1 sites of ``channels`` channels."""

    images: int = 64
    blocks: int = 2
    channels: int = 16

    @property
    def sites(self) -> int:
        """Sites of the network."""
        return 2 * self.blocks + 1


AXES: dict[str, list[Size]] = {
    "images": [Size(images=images) for images in (32, 64, 128)],
    "sites": [Size(blocks=blocks) for blocks in (1, 2, 4)],
    "channels": [Size(channels=channels) for channels in (8, 16, 32)],
}


def network_of(size: Size) -> Network:
    """A network of one stage, weights from a fixed seed."""
    torch.manual_seed(0)
    return module_network(ResNet(1, [size.blocks], [size.channels], 10), "mnist", mean=(0.13,), std=(0.31,))


class Case:
    """The stages of one case, each on what the one before it gives."""

    def __init__(self, size: Size, training: Dataset, test: Dataset) -> None:
        self.size, self._network = size, network_of(size)
        self._sited = sited_network(self._network)
        self._images = training.images[: size.images]
        self._greedy_inputs = [self._network.inputs(self._images)]
        with torch.no_grad():
            self._reference = [self._sited(x) for x in self._greedy_inputs]
        self._test = test.head(size.images)
        self._expected = float_logits(self._network, self._test)
        plan = learn(self._network, training, TARGET_BITS, recipe=QUICK, progress=False)
        self._tables = integer_tables(plan, max_mac_share=1.0)
        self._statistics = self.calibrated()

    def calibrated(self) -> tuple[SiteStatistics, ...]:
        """Ranges, moments and Fisher information of every site."""
        batches = list(input_batches(self._network, self._images, 64, "", False))
        ranges = choose_ranges(self._sited, batches, 0)
        block = SETTINGS.params.block
        return calibrate(self._sited, ranges, batches, images=len(self._images), block=block, seed=0)

    def allocated(self) -> None:
        """Transforms and widths by waterfilling over sites and bases, and every site's plan."""
        options = [(projection(s, "fisher"), *plain_options(s)) for s in self._statistics]
        for choice in allocate(options, TARGET_BITS, QUICK.table_batch, SETTINGS):
            build_site(choice, SETTINGS)

    def walked(self) -> None:
        """The greedy walk: the cut that costs least, measured through the network, one after the other."""
        greedy = Greedy(
            StagedNetwork(self._sited),
            [(projection(s, "pca"),) for s in self._statistics],
            lambda choice: CodecLayer(build_site(choice, SETTINGS)).requires_grad_(False),
            self._greedy_inputs,
            self._reference,
            SETTINGS,
            mixed=False,
            step=QUICK.greedy_step,
            table_batch=QUICK.table_batch,
            key={},
            file=None,
        )
        greedy.advance(GREEDY_BITS)

    def evaluated(self) -> None:
        """Every site through the golden model."""
        evaluate(self._network, self._test, tables=self._tables, progress=False, expected=self._expected)

    @property
    def stages(self) -> dict[str, Callable[[], object]]:
        """What is timed, by name."""
        return {
            "calibration": self.calibrated,
            "waterfill": self.allocated,
            "greedy walk": self.walked,
            "golden evaluation": self.evaluated,
        }


def growth(rounds: int) -> dict[str, Any]:
    """Least processor seconds of every stage of every case, and exponents by stage and axis."""
    training, test = load_dataset("mnist", "train"), load_dataset("mnist", "test")
    cases = {
        size: Case(size, training, test) for size in dict.fromkeys(size for axis in AXES.values() for size in axis)
    }
    best: dict[tuple[Size, str], float] = {}
    for _ in range(rounds):
        for size, case in cases.items():
            for stage, run in case.stages.items():
                start = time.process_time()
                run()
                spent = time.process_time() - start
                best[size, stage] = min(best.get((size, stage), spent), spent)
    axes = {}
    for axis, sizes in AXES.items():
        numbers = [getattr(size, axis) for size in sizes]
        stages = {}
        for stage in cases[sizes[0]].stages:
            seconds = [best[size, stage] for size in sizes]
            slope = np.polyfit(np.log(numbers), np.log(seconds), 1)[0]
            stages[stage] = {
                "least_seconds": [round(each, 4) for each in seconds],
                "exponent": round(float(slope), 2),
                "last_doubling": round(seconds[-1] / seconds[-2], 2),
            }
        axes[axis] = {"sizes": [asdict(size) | {"sites": size.sites} for size in sizes], "stages": stages}
    return {"axes": axes}


def work(turns: int) -> int:
    """A task's work: a calibration of the smallest network, ``turns`` times; nothing for no turns."""
    if turns:
        torch.set_num_threads(1)
        case = replace(AXES["images"][0], blocks=1)
        network = network_of(case)
        sited, inputs = sited_network(network), [network.inputs(load_dataset("mnist", "train").images[: case.images])]
        ranges = choose_ranges(sited, inputs, 0)
        for _ in range(turns):
            calibrate(sited, ranges, inputs, images=case.images, block=16, seed=0)
    return turns


def tasks_seconds(address: str | None, folder: Path, count: int, turns: int) -> float:
    """Wall-clock seconds of ``count`` tasks, at ``address`` or in this process."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        out = Path(name)
        chains = [[Task(f"{n}", out / f"{n}.json", partial(work, turns))] for n in range(count)]
        start = time.monotonic()
        run_tasks(chains, out, scheduler=address)
        return time.monotonic() - start


def workers(rounds: int, count: int, turns: int) -> dict[str, Any]:
    """Least seconds of ``count`` tasks here and on clusters of one and two workers, in turn; and of empty tasks."""
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = ("--no-nanny",)
        with running_cluster(folder / "one", options) as one, running_cluster(folder / "two", options, options) as two:
            places = {"this process": None, "1 worker": one.address, "2 workers": two.address}
            for address in (one.address, two.address):
                # Workers import torch with their first task.
                tasks_seconds(address, folder, 4, 1)
            for _ in range(rounds):
                for place, address in places.items():
                    for kind, each in ((place, turns), (f"{place}, empty tasks", 0)):
                        spent = tasks_seconds(address, folder, count, each)
                        best[kind] = min(best.get(kind, spent), spent)
    return {
        "tasks": count,
        "least_seconds": {place: round(seconds, 3) for place, seconds in best.items()},
        "speed_to_this_process": {
            place: round(best["this process"] / best[place], 2) for place in ("1 worker", "2 workers")
        },
        "milliseconds_an_empty_task": round(1000 * best["1 worker, empty tasks"] / count, 1),
        "load_average": [round(each, 1) for each in os.getloadavg()],
    }


def main() -> None:
    """Measure what is asked for and write it into the file, beside what is there of the other part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("part", nargs="*", default=["growth", "workers"], help="of growth, workers (default: both)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--turns", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "growth": lambda: growth(arguments.rounds),
        "workers": lambda: workers(arguments.rounds, arguments.tasks, arguments.turns),
    }
    for part in arguments.part:
        found = {"rounds": arguments.rounds, **parts[part]()}
        kept = read_json(RESULT) if RESULT.exists() else {}
        command = "PYTHONPATH=tests python benchmarks/scaling.py"
        head = {"command": command, "target_bits": TARGET_BITS, "greedy_bits": GREEDY_BITS}
        write_json(RESULT, {**head, **kept, part: found})
        print(part, "written", flush=True)


if __name__ == "__main__":
    main()
