"""Tasks on the workers of a real Dask scheduler on the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actcodec.cluster import Task, run_tasks, scheduler, surroundings
from actcodec.errors import ActcodecError
from support.cluster import Cluster, running_cluster
from support.tasks import calls, die, fail, squares, wait


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers whose nanny starts them again where they die."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), ("--nworkers", "2")) as running:
        yield running


def test_results_are_those_of_this_process(cluster: Cluster, tmp_path: Path) -> None:
    notes: list[str] = []
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    expected = run_tasks(squares(range(6), here), here)
    assert run_tasks(squares(range(4), there), there, scheduler=cluster.address, note=notes.append) == expected[:4]
    assert run_tasks(squares(range(6), there), there, scheduler=cluster.address) == expected
    assert calls(there) == list(range(6))
    for path in here.glob("*.json"):
        assert (there / path.name).read_bytes() == path.read_bytes()
    assert sorted(path.name for path in there.iterdir()) == sorted(path.name for path in here.iterdir())
    assert notes == [] or notes == ["the scheduler has no worker yet; waiting for one"]


def test_relative_paths_are_the_client_s(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run_tasks(squares(range(2), Path("out")), Path("out"), scheduler=cluster.address)[1][0]["square"] == 1
    assert calls(tmp_path / "out") == [0, 1]


def test_a_task_of_a_killed_worker_is_run_again(cluster: Cluster, tmp_path: Path) -> None:
    chains = [[Task("die", tmp_path / "die.json", partial(die, tmp_path, 1))], *squares(range(4), tmp_path)]
    results = run_tasks(chains, tmp_path, scheduler=cluster.address)
    assert results[0] == ["lived"] and (tmp_path / "deaths").read_text() == "x"
    assert [result[0]["square"] for result in results[1:]] == [0, 1, 4, 9]


def test_a_task_that_kills_its_workers_is_named(cluster: Cluster, tmp_path: Path) -> None:
    chains = [[Task("die", tmp_path / "die.json", partial(die, tmp_path, 9))]]
    with pytest.raises(ActcodecError, match=r"^die: 2 workers died while they ran it, perhaps for want of memory"):
        run_tasks(chains, tmp_path, scheduler=cluster.address)


def test_a_task_that_fails_takes_back_what_waits(cluster: Cluster, tmp_path: Path) -> None:
    wrong = [Task("wrong", tmp_path / "wrong.json", partial(fail, "wrong"))]
    waits = [[Task(f"wait{n}", tmp_path / f"wait{n}.json", partial(wait, 0.5))] for n in range(40)]
    with pytest.raises(ActcodecError, match=r"^wrong: is wrong in two lines$"):
        run_tasks([wrong, *waits], tmp_path, scheduler=cluster.address)
    # What comes later is not held up by it.
    run_tasks(squares(range(1), tmp_path), tmp_path, scheduler=cluster.address)
    assert len(list(tmp_path.glob("wait*.json"))) < 20


def test_an_interrupt_leaves_what_is_done(cluster: Cluster, tmp_path: Path) -> None:
    def interrupt(task: Task, result: Any) -> None:
        raise KeyboardInterrupt

    chains = [*squares(range(1), tmp_path), [Task("wait", tmp_path / "wait.json", partial(wait, 1.0))]]
    with pytest.raises(KeyboardInterrupt):
        run_tasks(chains, tmp_path, scheduler=cluster.address, report=interrupt)
    # A task that a worker has begun is waited for, not run beside itself.
    results = run_tasks(chains, tmp_path, scheduler=cluster.address)
    assert results[1] == [1.0] and calls(tmp_path) == [0]


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:9", "127.0.0.1:9", "nonsense://x", "tcp://no.such.host.invalid:1"]
)
def test_a_wrong_address_is_named(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "CONNECT_SECONDS", 1)
    with pytest.raises(ActcodecError, match=rf"^--scheduler: no Dask scheduler answers at {address}: ") as caught:
        run_tasks(squares(range(1), tmp_path), tmp_path, scheduler=address)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_shared_is_named(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On one machine every folder is shared, but for a sign that is not there.
    monkeypatch.setattr(surroundings, "write_text", lambda target, content: None)
    with pytest.raises(ActcodecError, match=rf"^worker tcp://\S+: does not see {tmp_path} of the client"):
        run_tasks(squares(range(1), tmp_path), tmp_path, scheduler=cluster.address)


def test_a_worker_of_another_version_is_named(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = surroundings.versions()
    monkeypatch.setattr(surroundings, "versions", lambda: here | {"torch": "1.0"})
    with pytest.raises(ActcodecError, match=r"^worker \S+: has torch \d\S+, the client 1\.0; results would differ$"):
        run_tasks(squares(range(1), tmp_path), tmp_path, scheduler=cluster.address)


def test_a_worker_of_several_threads_is_refused_and_a_scheduler_that_goes_is_told(tmp_path: Path) -> None:
    with running_cluster(tmp_path / "cluster") as running:
        running.workers.append(running.dask("worker", running.address, "--nthreads", "2", "--no-nanny"))
        with pytest.raises(ActcodecError, match=r"^worker \S+: runs 2 tasks in one process, .*; use --nthreads 1$"):
            run_tasks(squares(range(1), tmp_path), tmp_path, scheduler=running.address)
        running.workers[0].terminate()
        running.workers[0].wait()
        running.add_worker("--no-nanny")

        def stop(task: Task, result: Any) -> None:
            assert running.scheduler is not None
            running.scheduler.kill()

        chains = [*squares(range(1), tmp_path), [Task("wait", tmp_path / "wait.json", partial(wait, 20.0))]]
        with pytest.raises(ActcodecError, match=r"^--scheduler: the scheduler at tcp:\S+ is gone; the same call goes"):
            run_tasks(chains, tmp_path, scheduler=running.address, report=stop)
