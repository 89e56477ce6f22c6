"""What a DMA needs to store activations stripe by stripe: the encoder's job for some rows, and where its words go.

A producer that makes a tensor some full rows at a time has each stripe encoded by a job of its own. Its packet holds
the words of every plane one after another; each plane's go to consecutive addresses, for a stripe ends with its rows'
padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from actcodec.errors import ActcodecError
from actcodec.tables.descriptors import site_bases
from actcodec.tables.model import SiteTable, Tables
from actcodec.tables.program import encoder_beats


@dataclass(frozen=True)
class Stripe:
    """The transfer of one plane of one stripe: ``words`` words to byte ``address`` and the following ones.

    The planes of a stripe are one job of ``rows`` rows and one packet each way, in the order of the planes.
    """

    site: int
    name: str
    stripe: int
    plane: int
    first_channel: int
    channels: int
    y: int
    """First row."""
    rows: int
    beats: int
    """Beats of the plane that the encoder takes for it."""
    base: int
    """Byte at which the site's stream begins."""
    address: int
    words: int
    """0 where the plane stores nothing."""


def site_stripes(site: SiteTable, number: int, rows: int, base: int) -> Iterator[Stripe]:
    """Stripes of ``rows`` rows, the last one of what is left, of a site whose stream begins at byte ``base``.

    Raises ActcodecError where ``rows`` is below 1.
    """
    if rows < 1:
        raise ActcodecError("stripes", f"rows = {rows}, at least 1 expected")
    info, word_bytes = site.info, site.params.word_bytes
    for stripe, y in enumerate(range(0, info.height, rows)):
        count = min(rows, info.height - y)
        for place, plane in enumerate(site.planes):
            first, _ = info.blocks[plane.first_block].channels
            _, end = info.blocks[plane.last_block - 1].channels
            yield Stripe(
                site=number,
                name=info.name,
                stripe=stripe,
                plane=place,
                first_channel=first,
                channels=end - first,
                y=y,
                rows=count,
                beats=count * info.width * len(encoder_beats(site, plane)),
                base=base,
                address=base + plane.position_bit(y, 0) // 8,
                words=count * plane.pitch_bits // 8 // word_bytes,
            )


def all_stripes(tables: Tables, rows: int, base: int, align: int) -> list[Stripe]:
    """Stripes of every site, streams laid out as of `site_bases`."""
    bases = site_bases(tables, base, align)
    return [
        stripe
        for number, (site, first) in enumerate(zip(tables.sites, bases, strict=True))
        for stripe in site_stripes(site, number, rows, first)
    ]
