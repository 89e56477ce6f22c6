"""Many co-simulations: a task a site and simulator, side by side here or on a cluster, kept by what entered them."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from actcodec.cluster import Task, run_tasks, sources_digest
from actcodec.errors import ActcodecError
from actcodec.golden import Input
from actcodec.params import CodecParams
from actcodec.tables import Tables, digest_of
from actcodec_rtl.generate import generator_digest
from actcodec_sim.cosim.builds import kept_build
from actcodec_sim.cosim.result import CosimResult, read_site
from actcodec_sim.cosim.run import DEFAULT_STALL, cosimulate
from actcodec_sim.cosim.simulators import Simulator, simulator_versions

CODE = ("actcodec.golden", "actcodec.tables", "actcodec.params", "actcodec.fixedpoint", "actcodec_sim.cosim")
"""Golden model and testbench: results of other code are not those of this one. The RTL's own is `generator_digest`."""


@dataclass(frozen=True)
class Stimulus:
    """What a run is given beside tables and activations (`cosimulate`)."""

    build_params: CodecParams
    seed: int = 0
    stall: float = DEFAULT_STALL
    output_stall: float | None = None
    waves: bool = False


def cosimulate_sites(
    tables: Tables,
    activations: Mapping[str, Input],
    simulators: Sequence[Simulator],
    cache: Path,
    out: Path,
    stimulus: Stimulus,
    *,
    only: Sequence[str] = (),
    jobs: int = 1,
    scheduler: str | None = None,
    note: Callable[[str], None] | None = None,
) -> list[CosimResult]:
    """Run one image of every site, or of those that ``only`` names, each on its own in every simulator.

    Both passes of `cosimulate` run for each site alone, with the tables of all loaded; `cosimulate` itself runs the
    second one through all sites without a pause. A result is kept in ``out``/SIMULATOR-sites/SITE beside its log, under
    a hash of all that entered: tables, inputs, RTL, golden model and testbench, simulator, seed and stalls. What has
    one is not run again. Builds are made first, one a simulator; then sites run in ``jobs`` processes, or on the
    workers of the Dask ``scheduler``, which see ``out`` and ``cache`` (`actcodec.cluster.run_tasks`).

    Raises ActcodecError as `cosimulate`, and for a cluster that cannot be used.
    """
    begin = time.monotonic()
    # Simulators run in folders of their own.
    cache, out = cache.resolve(), out.resolve()
    names = [site.info.name for site in tables.sites]
    for name in only:
        if name not in names:
            raise ActcodecError("co-simulation", f"{name!r} is none of the sites {', '.join(names)}")
    chosen = list(only or names)
    for name in chosen:
        if name not in activations:
            raise ActcodecError("co-simulation", f"no activations for site {name!r}")
    digest = digest_of(tables)
    common: dict[str, Any] = {
        "tables": digest,
        "codec": stimulus.build_params.as_json(),
        "rtl": generator_digest(stimulus.build_params),
        "code": sources_digest(*CODE),
        "seed": stimulus.seed,
        "stalls": [stimulus.stall, stimulus.output_stall],
        "waves": stimulus.waves,
    }
    tasks: dict[Simulator, list[Task]] = {}
    for simulator in simulators:
        entered = common | {"simulator": simulator, "versions": simulator_versions(simulator)}
        tasks[simulator] = [
            _site_task(
                tables, name, activations[name], simulator, cache, _job(out, simulator, names, name), stimulus, entered
            )
            for name in chosen
        ]
    wanted = [simulator for simulator in simulators if not all(task.path.exists() for task in tasks[simulator])]
    builds = [[_build_task(simulator, cache, stimulus, common)] for simulator in wanted]
    run_tasks(builds, cache, min(jobs, max(1, len(builds))), scheduler, note=note)

    def report(task: Task, result: dict[str, Any]) -> None:
        if note is not None:
            note(f"{task.name}: {'agrees' if read_site(result['site']).agrees else 'DIFFERS'}")

    chains = [[task] for simulator in simulators for task in tasks[simulator]]
    results = iter(run_tasks(chains, out, jobs, scheduler, report, note))
    seconds = time.monotonic() - begin
    merged = []
    for simulator in simulators:
        found = [next(results)[0] for _ in chosen]
        sites = tuple(read_site(each["site"]) for each in found)
        stalled = sum(each["stalled_cycles"] for each in found)
        merged.append(CosimResult(simulator, digest, sites, stalled, stimulus.seed, seconds))
    return merged


def _job(out: Path, simulator: Simulator, names: Sequence[str], name: str) -> Path:
    """The folder of a site: names of imported networks are paths, and two may differ by case alone."""
    return out / f"{simulator}-sites" / f"{names.index(name):03d}-{re.sub(r'[^A-Za-z0-9._-]', '_', name)}"


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _site_task(
    tables: Tables,
    name: str,
    x: Input,
    simulator: Simulator,
    cache: Path,
    job: Path,
    stimulus: Stimulus,
    entered: dict[str, Any],
) -> Task:
    given = {"site": name, "shape": x.shape, "type": str(x.dtype), "input": hashlib.sha256(x.tobytes()).hexdigest()}
    # The job's folder is made anew with every run: a result lies beside the log that it has, and no older one does.
    path = job / f"kept-{_digest(entered | given)[:32]}.json"
    work = partial(_run_site, tables, name, x, simulator, cache, job, stimulus)
    return Task(f"{simulator} {name}", path, work)


def _run_site(
    tables: Tables, name: str, x: Input, simulator: Simulator, cache: Path, job: Path, stimulus: Stimulus
) -> dict[str, Any]:
    result = cosimulate(tables, {name: x}, simulator, cache, job, only=[name], **vars(stimulus))
    return {"site": asdict(result.sites[0]), "stalled_cycles": result.stalled_cycles}


def _build_task(simulator: Simulator, cache: Path, stimulus: Stimulus, common: dict[str, Any]) -> Task:
    entered = {name: common[name] for name in ("codec", "rtl", "waves")}
    path = cache / "builds" / f"{simulator}-{_digest(entered)[:32]}.json"
    return Task(f"build {simulator}", path, partial(_build, stimulus.build_params, simulator, cache, stimulus.waves))


def _build(params: CodecParams, simulator: Simulator, cache: Path, waves: bool) -> str:
    _, folder = kept_build(params, simulator, cache, waves)
    return folder.name
