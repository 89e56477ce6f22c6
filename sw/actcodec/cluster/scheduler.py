"""Chains of tasks on the workers of a Dask scheduler that runs already."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from actcodec.cluster.surroundings import Surroundings, announced, processor
from actcodec.cluster.task import Task, run_chain
from actcodec.errors import ActcodecError

CONNECT_SECONDS = 10


def reach(address: str | None) -> None:
    """Raise ActcodecError where no scheduler answers at ``address``: before what takes long is prepared for it."""
    if address is not None:
        _connect(_distributed(), address).close()


def run_on_cluster(
    chains: Sequence[Sequence[Task]], folder: Path, address: str, note: Callable[[str], None] | None = None
) -> Generator[tuple[int, list[Any]], None, None]:
    """The number and the results of each chain, as it ends on some worker of the scheduler at ``address``.

    A chain whose worker dies is run again by another one. Closing the iterator takes back what waits; what a worker
    has begun it finishes, and keeps. Raises ActcodecError where the scheduler does not answer or goes away, a worker
    has other versions, another folder or several threads, a task fails, and where a task's workers die one after the
    other.
    """
    distributed = _distributed()
    client = _connect(distributed, address)
    futures: dict[Any, int] = {}
    try:
        with announced(folder) as surroundings:
            _inspect(client, surroundings, note)
            for number, chain in enumerate(chains):
                # A key of one's own: another call's tasks of that name are not these.
                key = f"{chain[0].name}-{uuid4()}"
                futures[client.submit(_run_there, chain, surroundings, key=key, pure=False)] = number
            for future in distributed.as_completed(list(futures), loop=client.loop):
                number = futures[future]
                yield number, _result(distributed, future, chains[number], address)
    finally:
        # The scheduler may be gone.
        with contextlib.suppress(Exception):
            client.cancel(list(futures))
        client.close()


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        problem = f"needs the packages dask and distributed (pip install 'actcodec[cluster]'): {error}"
        raise ActcodecError("--scheduler", problem) from error
    return distributed


def _connect(distributed: Any, address: str) -> Any:
    try:
        return distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ActcodecError("--scheduler", f"no Dask scheduler answers at {address}: {error}") from error


def _inspect(client: Any, surroundings: Surroundings, note: Callable[[str], None] | None) -> None:
    """Check all workers that are there; those that join later check themselves before their first task."""
    answers = client.run(_inspected, surroundings, on_error="return")
    for answer in answers.values():
        if isinstance(answer, ActcodecError):
            raise answer
    # A worker that went away meanwhile answers with the error of its connection.
    kinds = sorted({answer for answer in answers.values() if isinstance(answer, str)})
    if note is not None and not kinds:
        note("the scheduler has no worker yet; waiting for one")
    if note is not None and len(kinds) > 1:
        note(f"workers have several kinds of processors, and training may differ in last bits: {', '.join(kinds)}")


def _inspected(surroundings: Surroundings, dask_worker: Any) -> str:
    """In a worker, ``dask_worker``: check it; returns its processor."""
    who, threads = f"worker {dask_worker.address}", dask_worker.state.nthreads
    if threads != 1:
        raise ActcodecError(who, f"runs {threads} tasks in one process, which share torch's state; use --nthreads 1")
    surroundings.check(who)
    return processor()


def _run_there(chain: Sequence[Task], surroundings: Surroundings) -> list[Any]:
    """In a worker: run a chain where relative paths mean what they mean to the client."""
    from distributed import get_worker

    _inspected(surroundings, get_worker())
    with contextlib.chdir(surroundings.working):
        return run_chain(chain, surroundings.folder)


def _result(distributed: Any, future: Any, chain: Sequence[Task], address: str) -> list[Any]:
    try:
        results: list[Any] = future.result()
    except distributed.scheduler.KilledWorker as error:
        times = error.allowed_failures + 1
        problem = f"{times} workers died while they ran it, perhaps for want of memory; see their logs"
        raise ActcodecError(chain[0].name, problem) from error
    except (distributed.CancelledError, distributed.comm.CommClosedError) as error:
        problem = f"the scheduler at {address} is gone; the same call goes on from what is done"
        raise ActcodecError("--scheduler", problem) from error
    return results
