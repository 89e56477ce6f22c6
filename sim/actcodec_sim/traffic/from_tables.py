"""The traffic of a set of tables: every site's sizes and codec cycles are those that the tables give."""

from __future__ import annotations

from pathlib import Path

from actcodec.tables import SiteTable, Tables, digest_of
from actcodec.tables.cycles import decode_cycles, encode_cycles
from actcodec_sim.dram import DramDevice, TraceFormat, load_device
from actcodec_sim.dram.controller import DEFAULT_QUEUE_DEPTH
from actcodec_sim.traffic.frame import Frame
from actcodec_sim.traffic.model import simulate_traffic
from actcodec_sim.traffic.pacing import Pacing
from actcodec_sim.traffic.result import TrafficReport
from actcodec_sim.traffic.site import SiteTraffic, stored_actcodec, stored_raw8


def site_traffic(site: SiteTable, transaction_bytes: int) -> SiteTraffic:
    """Sizes and cycles of one site of the tables."""
    sizes = site.sizes(transaction_bytes)
    return SiteTraffic(
        name=site.info.name,
        channels=site.info.channels,
        height=site.info.height,
        width=site.info.width,
        readers=site.info.readers,
        payload_bits=sizes.payload_bits,
        stream_bytes=sizes.stream_bytes,
        table_bytes=site.table_bytes,
        raw_bytes=site.info.values,
        encode_cycles=encode_cycles(site),
        decode_cycles=decode_cycles(site),
    )


def run_traffic(
    tables: Tables,
    device: DramDevice | str | Path,
    *,
    pacing: Pacing | None = None,
    queue_depth: int = DEFAULT_QUEUE_DEPTH,
) -> TrafficReport:
    """Traffic of one frame of the tables' network on ``device`` (a device, a name in configs/dram, or a file).

    Raises ActcodecError for a bad device description or a frame that does not fit the device.
    """
    chosen = _loaded(device)
    provenance = {name: str(value) for name, value in tables.provenance.model_dump().items()}
    return simulate_traffic(
        [site_traffic(site, chosen.transaction_bytes) for site in tables.sites],
        chosen,
        pacing=pacing,
        queue_depth=queue_depth,
        provenance={**provenance, "tables_digest": digest_of(tables), "table_residency": tables.residency},
    )


def write_frame_traces(directory: Path, tables: Tables, device: DramDevice | str | Path) -> list[Path]:
    """Write the requests of one memory-limited frame, tables resident, for other simulators; the files.

    One file for each codec and ``TraceFormat``: ``CODEC.FORMAT.trace``. Raises ActcodecError as ``run_traffic`` does
    and where a file cannot be written.
    """
    chosen = _loaded(device)
    sites = [site_traffic(site, chosen.transaction_bytes) for site in tables.sites]
    files: list[Path] = []
    for codec, stored in (("raw8", stored_raw8(sites)), ("actcodec", stored_actcodec(sites))):
        frame = Frame(stored, chosen, DEFAULT_QUEUE_DEPTH, tables=False, pacing=None)
        for form in TraceFormat:
            files.append(directory / f"{codec}.{form.value}.trace")
            frame.write_trace(files[-1], form)
    return files


def _loaded(device: DramDevice | str | Path) -> DramDevice:
    return device if isinstance(device, DramDevice) else load_device(device)
