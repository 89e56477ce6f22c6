"""A Dask scheduler and workers as processes of their own on this machine, as a user starts them by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import actcodec
import actcodec_rtl
import actcodec_sim
import support

START_SECONDS = 180


@dataclass
class Cluster:
    """The scheduler's address, its process and those of workers; logs lie in ``folder``."""

    folder: Path
    address: str = ""
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def dask(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ``dask`` with what the tests import on its path."""
        paths = [str(Path(str(p.__file__)).parents[1]) for p in (actcodec, actcodec_rtl, actcodec_sim, support)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
        }
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
            )

    def add_worker(self, *options: str) -> None:
        """Start a worker of one thread; without a nanny, the process is the worker itself."""
        local = ("--local-directory", str(self.folder / "scratch"))
        self.workers.append(self.dask("worker", self.address, "--nthreads", "1", *local, *options))


@contextmanager
def running_cluster(folder: Path, *workers: tuple[str, ...]) -> Iterator[Cluster]:
    """A scheduler on a free port of the loopback and a worker for every tuple of options."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster, contact = Cluster(folder), folder / "scheduler.json"
    try:
        cluster.scheduler = cluster.dask(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(contact)
        )
        end = time.monotonic() + START_SECONDS
        while not cluster.address:
            assert time.monotonic() < end and cluster.scheduler.poll() is None, (folder / "scheduler.log").read_text()
            time.sleep(0.1)
            text = contact.read_text() if contact.exists() else ""
            cluster.address = json.loads(text)["address"] if text.endswith("}") else ""
        for options in workers:
            cluster.add_worker(*options)
        yield cluster
    finally:
        for process in [*cluster.workers, cluster.scheduler]:
            if process is not None:
                process.terminate()
        for process in [*cluster.workers, cluster.scheduler]:
            if process is not None:
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
