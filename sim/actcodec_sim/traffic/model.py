"""The traffic model: stored sites → streams → transactions → memory controller → bytes, cycles, energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actcodec.errors import ActcodecError
from actcodec_sim.dram import DramDevice
from actcodec_sim.dram.controller import DEFAULT_QUEUE_DEPTH
from actcodec_sim.traffic.frame import Frame
from actcodec_sim.traffic.pacing import Pacing
from actcodec_sim.traffic.result import CodecTraffic, FrameCosts, SiteResult, TrafficReport
from actcodec_sim.traffic.site import SiteTraffic, StoredSite, stored_actcodec, stored_raw8
from actcodec_sim.traffic.streams import StreamKind


def simulate_traffic(
    sites: Sequence[SiteTraffic],
    device: DramDevice,
    *,
    pacing: Pacing | None = None,
    queue_depth: int = DEFAULT_QUEUE_DEPTH,
    provenance: Mapping[str, str] | None = None,
) -> TrafficReport:
    """Traffic of one frame of ``sites``, as raw 8-bit values and as coded streams, on ``device``.

    Raises ActcodecError where there is no site, a name occurs twice or a frame does not fit the device.
    """
    stored = {"raw8": stored_raw8(sites), "actcodec": stored_actcodec(sites)}
    return simulate_codecs(stored, device, pacing=pacing, queue_depth=queue_depth, provenance=provenance)


def simulate_codecs(
    codecs: Mapping[str, Sequence[StoredSite]],
    device: DramDevice,
    *,
    pacing: Pacing | None = None,
    queue_depth: int = DEFAULT_QUEUE_DEPTH,
    provenance: Mapping[str, str] | None = None,
) -> TrafficReport:
    """Traffic of one frame of every codec, each with its own sizes of the same sites, on ``device``.

    Raises ActcodecError where there is no codec or no site, a name occurs twice, the codecs' sites differ in more than
    their sizes, or a frame does not fit the device.
    """
    _check(codecs)
    chosen = Pacing() if pacing is None else pacing
    return TrafficReport(
        device=device,
        pacing=chosen,
        queue_depth=queue_depth,
        codecs=tuple(_codec_traffic(name, s, device, chosen, queue_depth) for name, s in codecs.items()),
        provenance=dict(provenance or {}),
    )


def _check(codecs: Mapping[str, Sequence[StoredSite]]) -> None:
    if not codecs:
        raise ActcodecError("traffic", "codecs: there is none")
    (first, reference), *others = codecs.items()
    if not reference:
        raise ActcodecError("traffic", "sites: there is none")
    names = [site.name for site in reference]
    for name in names:
        if names.count(name) > 1:
            raise ActcodecError("traffic", f"sites: the name {name!r} occurs twice")
    expected = [(site.name, site.shape, site.readers) for site in reference]
    for name, sites in others:
        if [(site.name, site.shape, site.readers) for site in sites] != expected:
            raise ActcodecError("traffic", f"codec {name}: its sites are not those of {first}")


def _codec_traffic(
    name: str, stored: Sequence[StoredSite], device: DramDevice, pacing: Pacing, queue_depth: int
) -> CodecTraffic:
    def frames(pace: Pacing | None) -> tuple[Frame, Frame]:
        """The frame with resident tables, and the one that loads them: the same where there are none."""
        resident = Frame(stored, device, queue_depth, tables=False, pacing=pace)
        if not any(site.table_bytes for site in stored):
            return resident, resident
        return resident, Frame(stored, device, queue_depth, tables=True, pacing=pace)

    resident, reloaded = frames(None)
    paced_resident, paced_reloaded = frames(pacing)
    return CodecTraffic(
        codec=name,
        sites=_site_results(stored, resident, reloaded),
        memory_limited=FrameCosts(resident.cost(), reloaded.cost()),
        paced=FrameCosts(paced_resident.cost(), paced_reloaded.cost()),
    )


def _site_results(stored: Sequence[StoredSite], resident: Frame, reloaded: Frame) -> tuple[SiteResult, ...]:
    columns = zip(
        stored,
        resident.write_bytes(StreamKind.WRITE),
        resident.read_bytes(StreamKind.READ),
        resident.read_bytes(StreamKind.WRITE),
        reloaded.read_bytes(StreamKind.TABLE),
        resident.requests(),
        resident.row_hits(),
        resident.cycles(),
        strict=True,
    )
    return tuple(
        SiteResult(
            stored=site,
            write_bytes=written,
            read_bytes=read,
            modify_bytes=modified,
            table_bytes=tables,
            requests=requests,
            row_hits=hits,
            cycles=cycles,
        )
        for site, written, read, modified, tables, requests, hits, cycles in columns
    )
