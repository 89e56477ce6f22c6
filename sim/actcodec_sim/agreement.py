"""The agreement of all stages: same bytes in trainer, golden model, RTL and traffic report, same digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actcodec.golden import SiteCodec
from actcodec.tables import SiteSizes, SiteTable, Tables, transaction_bytes_of
from actcodec_sim.cosim.result import CosimResult
from actcodec_sim.cosim.result import SiteResult as RtlSite
from actcodec_sim.traffic.result import SiteResult as TrafficSite
from actcodec_sim.traffic.result import TrafficReport

STAGES = ("trainer", "golden", "rtl", "traffic")


@dataclass(frozen=True)
class SiteAgreement:
    """The three sizes of one site's stream as every stage has them.

    ``trainer``: what the plan was optimised with. ``golden``: counted while the golden model wrote the stream.
    ``rtl``: the encoder's own counters and the addresses of its words. ``traffic``: transaction bytes counted on the
    requests of the traffic model's write stream; payload and stream as its report has them. ``digests_equal``:
    stream and decoded tensor of golden model and RTL.
    """

    name: str
    trainer: SiteSizes
    golden: SiteSizes
    rtl: tuple[SiteSizes, ...]
    """One a simulator."""
    traffic: SiteSizes
    digests_equal: bool

    @property
    def sizes_equal(self) -> bool:
        """All stages have the same three sizes."""
        return all(sizes == self.trainer for sizes in (self.golden, *self.rtl, self.traffic))

    @property
    def agrees(self) -> bool:
        """Sizes and digests are the same everywhere."""
        return self.sizes_equal and self.digests_equal


@dataclass(frozen=True)
class Agreement:
    """All sites of one image."""

    sites: tuple[SiteAgreement, ...]

    @property
    def agrees(self) -> bool:
        """Every site agrees."""
        return all(site.agrees for site in self.sites)

    @property
    def digests_equal(self) -> bool:
        """Stream and tensor digests of golden model and RTL are equal on every site."""
        return all(site.digests_equal for site in self.sites)

    def stream_bytes(self) -> dict[str, int]:
        """Stream bytes of the image by stage."""
        return {
            "trainer": sum(site.trainer.stream_bytes for site in self.sites),
            "golden": sum(site.golden.stream_bytes for site in self.sites),
            "rtl": sum(site.rtl[0].stream_bytes for site in self.sites),
            "traffic": sum(site.traffic.stream_bytes for site in self.sites),
        }

    def problems(self) -> list[str]:
        """One line for every site and stage that differs from the trainer."""
        found = []
        for site in self.sites:
            stages: dict[str, Any] = {"golden": site.golden, "traffic": site.traffic}
            stages |= {f"rtl[{i}]": sizes for i, sizes in enumerate(site.rtl)}
            found += [
                f"site {site.name}: {stage} has {sizes}, the trainer {site.trainer}"
                for stage, sizes in stages.items()
                if sizes != site.trainer
            ]
            if not site.digests_equal:
                found.append(f"site {site.name}: digests of golden model and RTL differ")
        return found


def golden_sizes(site: SiteTable, x: NDArray[np.uint8], transaction: int) -> SiteSizes:
    """The sizes of one image's stream, counted on the bytes that the golden model writes."""
    stream, payload_bits = SiteCodec(site).encode_counted(x)
    return SiteSizes(payload_bits, stream.size, transaction_bytes_of(stream.size, transaction))


def _rtl_sizes(site: RtlSite) -> SiteSizes:
    return SiteSizes(site.payload_bits, site.stream_bytes, site.transaction_bytes)


def _traffic_sizes(site: TrafficSite) -> SiteSizes:
    return SiteSizes(site.stored.payload_bits, site.stored.stream_bytes, site.write_bytes + site.modify_bytes)


def check_agreement(
    tables: Tables,
    trainer: Mapping[str, SiteSizes],
    activations: Mapping[str, NDArray[np.uint8]],
    cosim: tuple[CosimResult, ...],
    traffic: TrafficReport,
) -> Agreement:
    """Put the sizes of every stage side by side, for the image whose ``activations`` (H, W, C) were co-simulated.

    ``trainer`` maps a site's name to the sizes that learning counted.
    """
    rtl_sites = [{site.name: site for site in result.sites} for result in cosim]
    traffic_sites = {site.stored.name: site for site in traffic.codec("actcodec").sites}
    sites = []
    for site in tables.sites:
        name = site.info.name
        runs = [found[name] for found in rtl_sites]
        sites.append(
            SiteAgreement(
                name=name,
                trainer=trainer[name],
                golden=golden_sizes(site, activations[name], tables.transaction_bytes),
                rtl=tuple(_rtl_sizes(run) for run in runs),
                traffic=_traffic_sizes(traffic_sites[name]),
                digests_equal=all(
                    part.digest == part.digest_golden for run in runs for part in run.directions.values()
                ),
            )
        )
    return Agreement(tuple(sites))
