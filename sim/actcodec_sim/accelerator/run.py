"""A network on an accelerator with tables, measured codecs, or both: their layouts, and the energy of their work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from actcodec.codecs import CodecStore
from actcodec.codecs.work import Work
from actcodec.graph import LayerGraph
from actcodec.tables import SiteTable, Tables, digest_of
from actcodec_sim.accelerator.config import Accelerator
from actcodec_sim.accelerator.energy import SiteWork, accelerator_energy
from actcodec_sim.accelerator.layout import Layout, RowLayout, ShareLayout
from actcodec_sim.accelerator.model import RAW, PlanBy, simulate_accelerator
from actcodec_sim.accelerator.result import AcceleratorReport
from actcodec_sim.dram import DramDevice
from actcodec_sim.traffic.energy import EnergyModel
from actcodec_sim.traffic.from_codecs import check_tables, store_provenance, stored_codecs

OURS = "actcodec"


@dataclass(frozen=True)
class _Codec:
    """How one codec's sites lie in memory, and the work for each."""

    layouts: Mapping[str, Layout]
    work: Mapping[str, SiteWork]


def run_network(
    graph: LayerGraph,
    accelerator: Accelerator,
    device: DramDevice,
    *,
    energy: EnergyModel,
    tables: Tables | None = None,
    store: CodecStore | None = None,
    plan_by: PlanBy = "codec",
    load_tables: bool = False,
) -> AcceleratorReport:
    """One frame of raw bytes, of every codec of ``store``, and of ``tables`` as ``actcodec``, with their energy.

    Values of equal width and the streams of ``tables`` have rows of a fixed pitch; every other codec of a store is cut
    by share, ``actcodec`` too where its tables are not given; the provenance says which. Tables that say ``reloaded``
    are loaded in every layer.
    Raises ActcodecError as `simulate_accelerator` does, and where the store was measured with other tables.
    """
    if tables is not None and store is not None:
        check_tables(store, tables)
    codecs = {} if store is None else _measured(store)
    provenance = {} if store is None else store_provenance(store)
    if tables is not None:
        codecs[OURS] = _of_tables(tables)
        provenance |= {name: str(value) for name, value in tables.provenance.model_dump().items()}
        provenance["tables_digest"] = digest_of(tables)
    provenance |= _placing(codecs)
    report = simulate_accelerator(
        graph,
        accelerator,
        device,
        {name: codec.layouts for name, codec in codecs.items()},
        plan_by=plan_by,
        load_tables=load_tables or (tables is not None and tables.residency == "reloaded"),
        provenance=provenance,
    )
    work = {name: codec.work for name, codec in codecs.items()}
    return replace(report, energy=accelerator_energy(report, work, energy))


def _placing(codecs: Mapping[str, _Codec]) -> dict[str, str]:
    """Which codecs have rows of a fixed pitch, and which are cut by share."""
    by_share = [
        name
        for name, codec in codecs.items()
        if any(isinstance(layout, ShareLayout) for layout in codec.layouts.values())
    ]
    rows = [RAW, *(name for name in codecs if name not in by_share)]
    named = {"rows_of_fixed_pitch": rows, "cut_by_share": by_share}
    return {what: ", ".join(names) for what, names in named.items() if names}


def _measured(store: CodecStore) -> dict[str, _Codec]:
    """Every codec of the store but the raw bytes, which the model has itself."""
    found: dict[str, _Codec] = {}
    for name, sites in stored_codecs(store).items():
        if name == RAW:
            continue
        layouts: dict[str, Layout] = {}
        for stored, size in zip(sites, store.codec(name).sites, strict=True):
            bits = size.equal_width(stored.values)
            layouts[stored.name] = ShareLayout(stored) if bits is None else RowLayout.packed(stored, bits)
        found[name] = _Codec(layouts, {stored.name: SiteWork(stored.encode, stored.decode) for stored in sites})
    return found


def _of_tables(tables: Tables) -> _Codec:
    return _Codec(
        {site.info.name: RowLayout.coded(site) for site in tables.sites},
        {site.info.name: _work(site) for site in tables.sites},
    )


def _work(site: SiteTable) -> SiteWork:
    return SiteWork(*Work.of_table(site).activities(site.sizes(1).payload_bits))
