"""Running tasks: in this process, in processes beside it, or on a cluster; the results are the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from actcodec.cluster.scheduler import run_on_cluster
from actcodec.cluster.task import Task, is_kept, run_chain
from actcodec.errors import ActcodecError

Chain = Sequence[Task]


def run_tasks(
    chains: Sequence[Chain],
    folder: Path,
    jobs: int = 1,
    scheduler: str | None = None,
    report: Callable[[Task, Any], None] | None = None,
    note: Callable[[str], None] | None = None,
) -> list[list[Any]]:
    """Run every task that has no result yet and return the results of all, in the order of ``chains``.

    The tasks of a chain go one after the other, in one process; chains go side by side: in ``jobs`` processes of this
    machine, one of them this process itself, or on the workers of the Dask scheduler at ``scheduler``. All results lie
    below ``folder``, which the workers of a cluster share with this machine.

    ``report`` is told each task and its result, ``note`` what one should know of a cluster. What was finished before
    an error or an interrupt stays, and the next call goes on from there. Raises ActcodecError as the tasks' work does,
    where a process was killed for good, and for a cluster that cannot be used: no such scheduler, a worker with other
    versions or another folder.
    """
    if scheduler is not None and jobs != 1:
        raise ActcodecError("--jobs", f"{jobs}: on a cluster, the workers decide how many tasks are run at a time")
    found: list[list[Any]] = [[] for _ in chains]
    kept = [number for number, chain in enumerate(chains) if is_kept(chain)]
    missing = [number for number in range(len(chains)) if number not in set(kept)]

    def take(number: int, results: list[Any]) -> None:
        found[number] = results
        if report is not None:
            for task, result in zip(chains[number], results, strict=True):
                report(task, result)

    for number in kept:
        take(number, run_chain(chains[number], folder))
    if not missing:
        return found
    left = [chains[number] for number in missing]
    finished = _locally(left, folder, jobs) if scheduler is None else run_on_cluster(left, folder, scheduler, note)
    # Where this loop ends early, what waits is given up.
    with closing(finished):
        for place, results in finished:
            take(missing[place], results)
    return found


def _locally(chains: Sequence[Chain], folder: Path, jobs: int) -> Generator[tuple[int, list[Any]], None, None]:
    """The number and the results of each chain as it ends; one job is this process."""
    calls = (delayed(_numbered)(number, chain, folder) for number, chain in enumerate(chains))
    try:
        yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(calls)
    except TerminatedWorkerError as error:
        raise ActcodecError(
            folder, "a process was killed, perhaps for want of memory; the same call goes on from what is done"
        ) from error


def _numbered(number: int, chain: Chain, folder: Path) -> tuple[int, list[Any]]:
    return number, run_chain(chain, folder)
