"""Traffic of measured codecs side by side: every codec of a store, one frame each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from actcodec.codecs import CodecStore, StoredSize
from actcodec.errors import ActcodecError
from actcodec.tables import Tables, digest_of
from actcodec_sim.dram import DramDevice, load_device
from actcodec_sim.dram.controller import DEFAULT_QUEUE_DEPTH
from actcodec_sim.traffic.energy import EnergyModel, energy_report, load_energy
from actcodec_sim.traffic.model import simulate_codecs
from actcodec_sim.traffic.pacing import Pacing
from actcodec_sim.traffic.result import TrafficReport
from actcodec_sim.traffic.site import StoredSite

DEFAULT_ENERGY = "45nm"


def stored_codecs(store: CodecStore) -> dict[str, tuple[StoredSite, ...]]:
    """Every codec's sites as the traffic model takes them: the mean image."""
    return {codec.name: _stored(store, codec.sites) for codec in store.codecs}


def run_codecs(
    store: CodecStore,
    device: DramDevice | str | Path,
    *,
    energy: EnergyModel | str | Path = DEFAULT_ENERGY,
    pacing: Pacing | None = None,
    queue_depth: int = DEFAULT_QUEUE_DEPTH,
) -> TrafficReport:
    """Traffic and energy of one frame of every codec of ``store`` on ``device`` with the constants ``energy``.

    Either may be a name in configs or a file. Raises ActcodecError for a bad description, a frame that does not fit
    the device, or a store without ``raw8``.
    """
    chosen = device if isinstance(device, DramDevice) else load_device(device)
    constants = energy if isinstance(energy, EnergyModel) else load_energy(energy)
    report = simulate_codecs(
        stored_codecs(store), chosen, pacing=pacing, queue_depth=queue_depth, provenance=store_provenance(store)
    )
    return replace(report, energy=energy_report(report.codecs, constants, store.network_macs))


def _stored(store: CodecStore, sizes: Sequence[StoredSize]) -> tuple[StoredSite, ...]:
    return tuple(
        StoredSite(
            name=site.name,
            shape=(site.channels, site.height, site.width),
            readers=site.readers,
            payload_bits=size.payload_bits,
            stream_bytes=size.stream_bytes,
            table_bytes=size.table_bytes,
            encode_cycles=size.encode_cycles,
            decode_cycles=size.decode_cycles,
            header_bytes=size.header_bytes,
            encode=size.encode,
            decode=size.decode,
        )
        for site, size in zip(store.sites, sizes, strict=True)
    )


def check_tables(store: CodecStore, tables: Tables) -> None:
    """Raise ActcodecError where ``store`` holds this project's codec with other tables, or is of another network."""
    if store.network != tables.provenance.network:
        raise ActcodecError("codecs", f"network = {store.network!r}, the tables' is {tables.provenance.network!r}")
    if store.tables_digest not in (None, digest_of(tables)):
        raise ActcodecError("codecs", "the tables are not those that the codecs were measured with")


def store_provenance(store: CodecStore) -> dict[str, str]:
    """What was measured, by name: network, images, tables, and how each codec was calibrated."""
    named = {
        "network": store.network,
        "dataset": store.dataset,
        "images": str(store.images),
        "correct": str(store.correct),
        "checkpoint_sha256": store.checkpoint_sha256,
        "tables_digest": store.tables_digest or "",
    }
    return named | {f"method of {codec.name}": codec.method for codec in store.codecs}
