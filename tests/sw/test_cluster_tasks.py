"""Tasks that are kept: run once each, in this process and in others, and what happens where one goes wrong."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actcodec.cluster import Task, run_tasks, sources_digest
from actcodec.cluster.surroundings import announced
from actcodec.errors import ActcodecError
from support.tasks import calls, die, fail, square, squares


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_kept_is_not_run_again(jobs: int, tmp_path: Path) -> None:
    told: list[tuple[str, Any]] = []
    first = run_tasks(squares(range(3), tmp_path), tmp_path, jobs)
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("*.json")}
    results = run_tasks(
        squares(range(5), tmp_path), tmp_path, jobs, report=lambda task, result: told.append((task.name, result))
    )
    assert results[:3] == first
    assert results == [[{"number": n, "square": n * n, "sides": [n, n]}] for n in range(5)]
    assert calls(tmp_path) == [0, 1, 2, 3, 4]
    assert {name: (tmp_path / name).read_bytes() for name in kept} == kept
    assert sorted(told, key=lambda each: each[0]) == [(f"square{n}", results[n][0]) for n in range(5)]


def test_a_chain_goes_on_where_it_stopped(tmp_path: Path) -> None:
    chain = [task for single in squares(range(3), tmp_path) for task in single]
    run_tasks([chain[:1]], tmp_path)
    assert [result["square"] for result in run_tasks([chain], tmp_path)[0]] == [0, 1, 4]
    assert (tmp_path / "calls").read_text().split() == ["0", "1", "2"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_task_that_fails_ends_the_run_and_leaves_what_is_done(jobs: int, tmp_path: Path) -> None:
    before = squares(range(2), tmp_path)
    wrong = [Task("wrong", tmp_path / "wrong.json", partial(fail, "wrong"))]
    after = squares(range(2, 40), tmp_path)
    with pytest.raises(ActcodecError, match=r"^wrong: is wrong in two lines$"):
        run_tasks([*before, wrong, *after], tmp_path, jobs)
    assert len(calls(tmp_path)) < 40 and not (tmp_path / "wrong.json").exists()
    if jobs == 1:
        assert calls(tmp_path) == [0, 1]
    # The end of a run stops the processes beside this one: what one of them had begun has no result, and is run again.
    begun = Counter(calls(tmp_path))
    lacking = [number for number in range(40) if not (tmp_path / f"{number}.json").exists()]
    run_tasks([*before, *after], tmp_path)
    assert sorted((Counter(calls(tmp_path)) - begun).elements()) == lacking
    assert max(begun.values()) == 1 and set(calls(tmp_path)) == set(range(40))


def test_a_killed_process_is_told_and_its_half_written_result_is_none(tmp_path: Path) -> None:
    chains = [*squares(range(2), tmp_path), [Task("die", tmp_path / "die.json", partial(die, tmp_path, 1))]]
    with pytest.raises(ActcodecError, match="a process was killed, perhaps for want of memory; the same call goes on"):
        run_tasks(chains, tmp_path, 2)
    assert list(tmp_path.glob(".die.json.*")) and not (tmp_path / "die.json").exists()
    assert run_tasks(chains, tmp_path, 2)[2] == ["lived"]
    assert calls(tmp_path) == [0, 1]


def test_a_result_that_others_cut_is_named(tmp_path: Path) -> None:
    chains = squares(range(1), tmp_path)
    run_tasks(chains, tmp_path)
    (tmp_path / "0.json").write_text('{"half')
    with pytest.raises(ActcodecError, match=r"0\.json: is not JSON"):
        run_tasks(chains, tmp_path)


def test_a_folder_that_takes_no_locks_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".locks").write_text("a file")
    with pytest.raises(ActcodecError, match="takes no locks, which results kept there need"):
        run_tasks(squares(range(1), tmp_path), tmp_path)


def test_a_cluster_takes_no_number_of_jobs(tmp_path: Path) -> None:
    with pytest.raises(ActcodecError, match=r"--jobs: 2: on a cluster, the workers decide"):
        run_tasks(squares(range(1), tmp_path), tmp_path, 2, "tcp://127.0.0.1:1")


def test_a_cluster_without_dask_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ActcodecError, match=r"needs the packages dask and distributed \(pip install 'actcodec\[clus"):
        run_tasks(squares(range(1), tmp_path), tmp_path, scheduler="tcp://127.0.0.1:1")


def test_surroundings_have_to_be_the_client_s(tmp_path: Path) -> None:
    with announced(tmp_path / "out") as surroundings:
        surroundings.check("worker")
        with pytest.raises(ActcodecError, match=r"^worker: has no folder /nowhere, in which the client runs"):
            replace(surroundings, working=Path("/nowhere")).check("worker")
        for name in ("torch", "actcodec's sources"):
            other = replace(surroundings, versions=surroundings.versions | {name: "1"})
            with pytest.raises(ActcodecError, match=rf"^worker: has {name} \S+, the client 1; results would differ$"):
                other.check("worker")
        (tmp_path / "out" / surroundings.sign).write_text("of another folder")
        with pytest.raises(ActcodecError, match=r"^worker: does not see .*out of the client; a cluster needs a shared"):
            surroundings.check("worker")
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(ActcodecError, match="does not see"):
        surroundings.check("worker")


def test_sources_are_told_apart(tmp_path: Path) -> None:
    modules = ("actcodec.files", "actcodec.golden")
    assert len({sources_digest(*modules), sources_digest(modules[0]), sources_digest(modules[1])}) == 3
    with pytest.raises(ModuleNotFoundError, match=r"no module actcodec\.nothing"):
        sources_digest("actcodec.nothing")


def test_a_result_is_the_file_s(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "result.json"
    results = run_tasks([[Task("one", path, partial(square, 3, tmp_path))]], tmp_path)
    assert results[0][0] == json.loads(path.read_text()) == {"number": 3, "square": 9, "sides": [3, 3]}
