"""Stripes stored by their descriptors make up the stream of the whole tensor."""

from __future__ import annotations

import numpy as np
import pytest

from actcodec.errors import ActcodecError
from actcodec.golden import SiteCodec
from actcodec.golden.beats import to_encoder_beats
from actcodec.params import load_params
from actcodec.tables.descriptors import site_bases
from actcodec.tables.stripes import Stripe, all_stripes, site_stripes
from actcodec.tables.synthetic import synthetic_input, synthetic_tables

TABLES = {config: synthetic_tables(5, load_params(config)) for config in ("tiny", "wide", "folded")}


@pytest.mark.parametrize("config", TABLES)
@pytest.mark.parametrize("rows", [1, 2, 3, 64])
def test_packets_of_stripes_fill_the_stream(config: str, rows: int) -> None:
    tables = TABLES[config]
    word = tables.params.word_bytes
    bases = site_bases(tables, 5 * word, 4 * word)
    by_site: dict[int, list[Stripe]] = {}
    for stripe in all_stripes(tables, rows, 5 * word, 4 * word):
        by_site.setdefault(stripe.site, []).append(stripe)
    rng = np.random.default_rng(3)
    for number, site in enumerate(tables.sites):
        x = synthetic_input(rng, site)
        stream = SiteCodec(site).encode(x)
        memory = np.full(bases[number] + stream.size, 0xA5, dtype=np.uint8)
        written = np.zeros(memory.size, dtype=int)
        for first in range(0, site.info.height, rows):
            found = [s for s in by_site[number] if s.y == first]
            assert [s.plane for s in found] == list(range(len(site.planes)))
            height = found[0].rows
            # What the encoder makes of these rows: the rows of every plane, plane by plane.
            packet = np.concatenate(
                [
                    stream[plane.position_bit(first, 0) // 8 : plane.position_bit(first + height, 0) // 8]
                    for plane in site.planes
                ]
            )
            beats, _ = to_encoder_beats(site, x[first : first + height])
            assert sum(s.beats for s in found) == len(beats)
            taken = 0
            for s in found:
                size = s.words * word
                memory[s.address : s.address + size] = packet[taken : taken + size]
                written[s.address : s.address + size] += 1
                taken += size
            assert taken == packet.size
        assert np.array_equal(memory[bases[number] :], stream)
        assert (written[bases[number] :] == 1).all()


def test_channels_and_rows_are_those_of_the_tensor() -> None:
    for number, site in enumerate(TABLES["tiny"].sites):
        found = list(site_stripes(site, number, 2, 0))
        assert sum(s.rows * s.channels for s in found) == site.info.height * site.info.channels
        assert {s.name for s in found} == {site.info.name}


def test_no_rows_are_refused() -> None:
    with pytest.raises(ActcodecError, match="stripes: rows = 0, at least 1 expected"):
        next(site_stripes(TABLES["tiny"].sites[0], 0, 0, 0))
