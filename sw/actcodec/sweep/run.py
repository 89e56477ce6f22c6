"""Running a sweep: points in parallel, each written whole when it is done, so that a sweep can be taken up again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from actcodec.errors import ActcodecError
from actcodec.files import read_json, write_json
from actcodec.learn import load_recipe
from actcodec.sweep.point import Point, Setting, run_point

RESULT = "result.json"
FAILURE = "unreachable"


def run_sweep(
    points: Sequence[Point],
    setting: Setting,
    folder: Path,
    jobs: int = 1,
    report: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Measure every point that ``folder`` has no result of and return the results of all of them.

    Points whose allocation is the same greedy walk go one after the other from the highest target down, as each goes on
    where the last one stopped; all others run in ``jobs`` processes. A target that a method cannot reach is a result,
    ``{"unreachable": reason}``. Raises ActcodecError for anything else that is wrong with a method.
    """
    chains: dict[tuple[Any, ...], list[Point]] = defaultdict(list)
    for point in sorted(points, key=lambda p: -p.target_bits):
        recipe = load_recipe(point.method)
        shared = recipe.allocation == "greedy" and recipe.rounds == 1
        walk = tuple(recipe.walk.values()) if shared else (point.method, point.target_bits)
        chains[(point.network, point.seed, *walk)].append(point)
    done = Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(_run_chain)(chain, setting, folder) for chain in chains.values()
    )
    found: dict[str, dict[str, Any]] = {}
    for results in done:
        for point, result in results:
            found[point.name] = result
            if report is not None:
                report(_line(point, result))
    return [found[point.name] for point in points]


def _run_chain(chain: Sequence[Point], setting: Setting, folder: Path) -> list[tuple[Point, dict[str, Any]]]:
    import torch

    # One thread a process: results depend on the number of threads.
    torch.set_num_threads(1)
    return [(point, _one(point, setting, folder / point.name)) for point in chain]


def _one(point: Point, setting: Setting, folder: Path) -> dict[str, Any]:
    path = folder / RESULT
    if path.exists():
        kept: dict[str, Any] = read_json(path)
        return kept
    try:
        result = run_point(point, setting, folder)
    except ActcodecError as error:
        if error.where != "target_bits":
            raise
        result = {"network": point.network, "method": point.method, "target_bits": point.target_bits}
        result |= {"seed": point.seed, FAILURE: error.problem}
    write_json(path, result)
    return result


def _line(point: Point, result: dict[str, Any]) -> str:
    if FAILURE in result:
        return f"{point.name}: {result[FAILURE]}"
    return f"{point.name}: {result['accuracy']:.2%} at {result['bpv_stream']:.3f} bits a value"
