"""Running a sweep: points side by side, each written whole when it is done, so that a sweep can be taken up again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from actcodec.cluster import Task, run_tasks
from actcodec.data.roots import named_root
from actcodec.errors import ActcodecError
from actcodec.files import atomic_path, read_array
from actcodec.learn import LearnRecipe, load_recipe
from actcodec.sweep.point import Point, Setting, run_point

RESULT = "result.json"
FAILURE = "unreachable"
EXPECTED = "expected.npy"
"""Logits of the uncompressed network, which all points are compared with."""


def run_sweep(
    points: Sequence[Point],
    setting: Setting,
    folder: Path,
    jobs: int = 1,
    report: Callable[[str], None] | None = None,
    scheduler: str | None = None,
) -> list[dict[str, Any]]:
    """Measure every point that ``folder`` has no result of and return the results of all of them.

    Points whose allocation is the same greedy walk go one after the other from the highest target down, as each goes on
    where the last one stopped; all others run in ``jobs`` processes, or on the workers of the Dask ``scheduler``
    (`actcodec.cluster.run_tasks`). A target that a method cannot reach is a result, ``{"unreachable": reason}``. Raises
    ActcodecError for anything else that is wrong with a method, and for a cluster that cannot be used.
    """
    chains: dict[tuple[Any, ...], list[tuple[Point, LearnRecipe]]] = defaultdict(list)
    for point in sorted(points, key=lambda p: -p.target_bits):
        recipe = load_recipe(point.method)
        shared = recipe.allocation == "greedy" and recipe.rounds == 1
        walk = tuple(recipe.walk.values()) if shared else (point.method, point.target_bits)
        chains[(point.network, point.seed, *walk)].append((point, recipe))
    setting, expected = replace(setting, data_root=named_root(setting.data_root)), None
    if setting.expected is not None:
        # Many times the rest of a task, and the same for all of them.
        with atomic_path(folder / EXPECTED) as temporary, temporary.open("wb") as file:
            np.save(file, setting.expected)
        setting, expected = replace(setting, expected=None), folder / EXPECTED
    of_task: dict[str, Point] = {}

    def task_of(point: Point, recipe: LearnRecipe) -> Task:
        of_task[point.name] = point
        work = partial(_measure, point, recipe, setting, folder / point.name, expected)
        return Task(point.name, folder / point.name / RESULT, work)

    tasks = [[task_of(point, recipe) for point, recipe in chain] for chain in chains.values()]
    found: dict[str, dict[str, Any]] = {}

    def take(task: Task, result: dict[str, Any]) -> None:
        found[task.name] = result
        if report is not None:
            report(_line(of_task[task.name], result))

    run_tasks(tasks, folder, jobs, scheduler, take, report)
    return [found[point.name] for point in points]


def _measure(
    point: Point, recipe: LearnRecipe, setting: Setting, folder: Path, expected: Path | None
) -> dict[str, Any]:
    import torch

    # One thread a process: results depend on the number of threads.
    torch.set_num_threads(1)
    if expected is not None:
        setting = replace(setting, expected=read_array(expected))
    try:
        return run_point(point, setting, folder, recipe)
    except ActcodecError as error:
        if error.where != "target_bits":
            raise
        result = {"network": point.network, "method": point.method, "target_bits": point.target_bits}
        return result | {"seed": point.seed, FAILURE: error.problem}


def _line(point: Point, result: dict[str, Any]) -> str:
    if FAILURE in result:
        return f"{point.name}: {result[FAILURE]}"
    return f"{point.name}: {result['accuracy']:.2%} at {result['bpv_stream']:.3f} bits a value"
