"""A task: what is computed, and the file that keeps its result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from actcodec.errors import ActcodecError
from actcodec.files import read_json, write_json

LOCKS = ".locks"
"""Folder, below that of the results, of the locks that keep a task from being run twice at a time."""


@dataclass(frozen=True)
class Task:
    """Work that always gives the same result, and the JSON file that keeps it; the file is there whole or not at all.

    ``work`` goes to other processes: a function of a module, or a `functools.partial` of one, of what can be pickled.
    It returns JSON values.
    """

    name: str
    path: Path
    work: Callable[[], Any]


def is_kept(chain: Sequence[Task]) -> bool:
    """Whether the results of all tasks of a chain are there."""
    return all(task.path.exists() for task in chain)


def run_chain(chain: Sequence[Task], folder: Path) -> list[Any]:
    """Run tasks one after the other and return their results; one whose result is there is not run again.

    A task that is run elsewhere at the same time, by a call that was interrupted or by a worker that was given up too
    early, is waited for. Raises ActcodecError as the work does, and where ``folder`` takes no locks.
    """
    results = []
    for task in chain:
        # Results are kept in folders of their own, which work may replace whole; locks are not.
        name = hashlib.sha256(str(task.path.resolve()).encode()).hexdigest()[:32]
        lock = FileLock(folder / LOCKS / f"{name}.lock")
        try:
            (folder / LOCKS).mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except (OSError, NotImplementedError) as error:
            raise ActcodecError(folder, f"takes no locks, which results kept there need: {error}") from error
        try:
            if not task.path.exists():
                write_json(task.path, task.work())
            # What others will read: JSON knows no tuples.
            results.append(read_json(task.path))
        finally:
            lock.release()
    return results
