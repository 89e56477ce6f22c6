"""A network on an accelerator: plan → steps → memory controller → what bounds each layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from actcodec.errors import ActcodecError
from actcodec.graph import LayerGraph
from actcodec_sim.accelerator.config import Accelerator
from actcodec_sim.accelerator.cut import Cuts
from actcodec_sim.accelerator.layout import Layout, RowLayout
from actcodec_sim.accelerator.patches import by_the_pixel
from actcodec_sim.accelerator.plan import plan
from actcodec_sim.accelerator.result import AcceleratorReport, AcceleratorRun, UnitBytes, UnitResult
from actcodec_sim.accelerator.search import Choice, Search
from actcodec_sim.accelerator.steps import Addresses, Step, unit_steps
from actcodec_sim.accelerator.timing import run_steps
from actcodec_sim.accelerator.unit import units_of
from actcodec_sim.dram import DramDevice
from actcodec_sim.dram.controller import DEFAULT_QUEUE_DEPTH
from actcodec_sim.dram.energy import dram_energy

PlanBy = Literal["codec", "raw8"]
RAW = "raw8"


def simulate_accelerator(
    graph: LayerGraph,
    accelerator: Accelerator,
    device: DramDevice,
    codecs: Mapping[str, Mapping[str, Layout]],
    *,
    plan_by: PlanBy = "codec",
    load_tables: bool = False,
    queue_depth: int = DEFAULT_QUEUE_DEPTH,
    provenance: Mapping[str, str] | None = None,
) -> AcceleratorReport:
    """One frame of ``graph`` for raw bytes and each of ``codecs``: layouts by the name of the site.

    Sites that a codec has no layout for are stored raw. Tilings are chosen by the codec's own bytes, or for all codecs
    by those of raw bytes (``plan_by``). ``load_tables`` loads the codec's tables in every layer that needs them.
    Raises ActcodecError where a layer does not fit the accelerator, the network does not fit the memory, a layout is of
    another shape than its site, or a codec knows a site that the network does not have.
    """
    runs, cuts = [], Cuts(accelerator.schedule.keep_halo)
    units = units_of(graph, fuse=accelerator.schedule.fuse_inverted_residuals)
    all_codecs: dict[str, Mapping[str, Layout]] = {RAW: {}, **codecs}
    for codec, given in all_codecs.items():
        layouts = _layouts(graph, codec, given)
        planned = _layouts(graph, RAW, {}) if plan_by == "raw8" else layouts
        choices = plan(graph, accelerator, Search(accelerator, device, planned, cuts), units)
        runs.append(_run(codec, graph, accelerator, device, layouts, choices, load_tables, queue_depth))
    return AcceleratorReport(
        network=graph.network,
        accelerator=accelerator,
        device=device,
        plan_by=plan_by,
        tables="reloaded" if load_tables else "resident",
        runs=tuple(runs),
        provenance=dict(provenance or {}),
    )


def _layouts(graph: LayerGraph, codec: str, given: Mapping[str, Layout]) -> dict[str, Layout]:
    sites = {tensor.site for tensor in graph.tensors}
    for name in given:
        if name not in sites:
            raise ActcodecError(f"codec {codec}", f"site {name!r} is not in the network {graph.network}")
    found: dict[str, Layout] = {}
    for tensor in graph.tensors:
        shape = (tensor.channels, tensor.height, tensor.width)
        layout = given.get(tensor.site) if tensor.site is not None else None
        fitting = RowLayout.raw(tensor) if layout is None else by_the_pixel(layout, shape)
        if fitting is None:
            assert layout is not None
            raise ActcodecError(f"codec {codec}", f"site {tensor.site!r} is {layout.shape}, the network's is {shape}")
        found[tensor.name] = fitting
    return found


def _run(
    codec: str,
    graph: LayerGraph,
    accelerator: Accelerator,
    device: DramDevice,
    layouts: Mapping[str, Layout],
    choices: Sequence[Choice],
    load_tables: bool,
    queue_depth: int,
) -> AcceleratorRun:
    places = Addresses(graph, layouts, device)
    units, busy = [], 0
    for choice in choices:
        tiled = choice.tiled
        steps = unit_steps(tiled, layouts, places, device.transaction_bytes, load_tables=load_tables)
        shared = any(layouts[tensor.name].shared_codec for tensor in (*tiled.unit.inputs, tiled.unit.output))
        time, memory = run_steps(steps, accelerator, device, queue_depth, shared_codec=shared)
        busy += memory.cycles
        unit, residence = tiled.unit, tiled.residence
        own = [unit.output.name] if residence.output else []
        units.append(
            UnitResult(
                name=unit.name,
                layers=tuple(layer.name for layer in unit.layers),
                kinds=tuple(layer.kind for layer in unit.layers),
                macs=unit.macs,
                tiling=tiled.tiling,
                tiles=tiled.tiles,
                bytes=_counted(steps, device.transaction_bytes),
                time=time,
                compute_cycles=sum(step.compute for step in steps),
                cycles=math.ceil(round(time.total * accelerator.clock.mhz / 1000, 6)),
                multipliers=accelerator.array.rows * accelerator.array.columns,
                memory_bytes={m.name: need for m, need in zip(accelerator.memory, tiled.memory_bytes(), strict=True)},
                staging_bytes=tiled.staging_bytes,
                resident=tuple(sorted([*residence.present, *residence.kept, *own])),
                site_reads=_site_reads(graph, steps),
                site_writes=() if residence.output or unit.output.site is None else (unit.output.site,),
                reread_bytes=_reread(choice, layouts, device.transaction_bytes),
                requests=memory.reads + memory.writes,
                row_hits=memory.row_hits,
                energy_pj=memory.energy.total,
            )
        )
    nanoseconds = math.fsum(unit.time.total for unit in units)
    idle = max(0, math.ceil(nanoseconds / device.timing.tCK) - busy)
    return AcceleratorRun(codec=codec, units=tuple(units), idle_energy_pj=_idle_energy(device, idle))


def _counted(steps: Sequence[Step], transaction: int) -> UnitBytes:
    counts = dict.fromkeys(UnitBytes.__dataclass_fields__, 0)
    for step in steps:
        for transfer in step.reads:
            name = transfer.purpose if transfer.purpose in counts else f"{transfer.purpose}_read"
            counts[name] += len(transfer.address) * transaction
        for transfer in step.writes:
            written = int(transfer.is_write.sum())
            counts[f"{transfer.purpose}_write"] += written * transaction
            modified = "modify" if transfer.purpose == "activations" else "others_read"
            counts[modified] += (len(transfer.address) - written) * transaction
    return UnitBytes(**counts)


def _site_reads(graph: LayerGraph, steps: Sequence[Step]) -> dict[str, float]:
    """Times that each site is read, by positions."""
    found: dict[str, list[float]] = {}
    for step in steps:
        for name, share in step.decoded.items():
            site = graph.by_name[name].site
            if site is not None:
                found.setdefault(site, []).append(share)
    return {site: math.fsum(shares) for site, shares in found.items()}


def _reread(choice: Choice, layouts: Mapping[str, Layout], transaction: int) -> int:
    """Bytes read beyond every input's and weight's window once."""
    tiled, once = choice.tiled, 0
    output = tiled.unit.output
    for tensor in tiled.streamed():
        rows, columns = tiled.unit.window(tensor, range(output.height), range(output.width))
        once += layouts[tensor.name].count(rows, columns, transaction)
    once += sum(-(-layer.weight_bytes // transaction) for layer in tiled.unit.layers)
    read = choice.cost.read + choice.cost.weights
    return read - once * transaction


def _idle_energy(device: DramDevice, cycles: int) -> float:
    """Precharge standby and refresh of a memory that nobody asks for anything."""
    ranks = device.organization.channels * device.organization.ranks
    return dram_energy(
        device,
        activates=0,
        reads=0,
        writes=0,
        refreshes=ranks * (cycles // device.timing.tREFI),
        rank_cycles=ranks * cycles,
        active_rank_cycles=0,
    ).total
