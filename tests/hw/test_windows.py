"""Parts of a frame: windows in the decoder, stripes in the encoder; words, cycles, counters, and what is refused."""

import numpy as np
import pytest

from actcodec.params import load_params
from actcodec.tables.model import SiteTable, Tables
from actcodec.tables.synthetic import synthetic_site
from support.frames import DECODER, ENCODER, Frame, Player, frame_of, stripe_frame, tables_of, window_frame
from support.sites import activations


def window_tables(config: str) -> Tables:
    """Every order and transform, a plane without bits in the middle, rows with and without padding."""
    params, rng = load_params(config), np.random.default_rng(5)
    shape = (5, 9, 3 * params.block + 1)
    made = [
        synthetic_site(rng, params, "position-major", shape),
        synthetic_site(rng, params, "block-major", shape, order="block-major", align_bits=8 * params.word_bits),
        synthetic_site(rng, params, "identity", (4, 7, params.block + 3), transform="identity"),
        synthetic_site(rng, params, "bypass", (3, 8, 2 * params.block), transform="bypass", order="block-major"),
        synthetic_site(rng, params, "empty", (2, 3, params.block + 1), max_width=0),
    ]
    gap = synthetic_site(rng, params, "gap", shape, keep=1.0, order="block-major")
    gap.arrays.width[: params.block] = 0
    gap.arrays.width[2 * params.block : 3 * params.block] = 0
    made.append(SiteTable(gap.info, gap.arrays, params))
    return Tables(params, tuple(made), tables_of(params, 0).provenance)


def random_window(number: int, site: SiteTable, rng: np.random.Generator) -> Frame:
    height, width = site.info.height, site.info.width
    first, stride = int(rng.integers(width)), int(rng.integers(1, 5))
    count = int(rng.integers(1, 1 + len(range(first, width, stride))))
    rows = rng.integers(height, size=int(rng.integers(1, 4))).tolist()
    plane = int(rng.integers(len(site.planes)))
    columns = range(first, first + (count - 1) * stride + 1, stride)
    return window_frame(number, site, activations(site, int(rng.integers(1000))), rows, plane, columns)


def random_stripe(number: int, site: SiteTable, rng: np.random.Generator) -> Frame:
    first = int(rng.integers(site.info.height))
    last = int(rng.integers(first + 1, site.info.height + 1))
    return stripe_frame(number, site, activations(site, int(rng.integers(1000))), range(first, last))


PARTS = {"encoder": (ENCODER, random_stripe), "decoder": (DECODER, random_window)}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("config", ["tiny", "default"])
def test_every_part_alone_gives_the_golden_output_in_the_cycles_of_the_formula(name: str, config: str) -> None:
    tables, rng = window_tables(config), np.random.default_rng(1)
    direction, part_of = PARTS[name]

    async def script(player: Player) -> None:
        await player.load(tables)
        for number, site in enumerate(tables.sites):
            for _ in range(3 if config == "tiny" else 1):
                before = player.counters()
                run = player.start([part_of(number, site, rng)])
                await run.finish()
                run.check()
                assert [measured for measured, _ in run.cycles()] == [formula for _, formula in run.cycles()]
                after = player.counters()
                counted = {key: after[key] - before[key] for key in run.truth()}
                assert counted == run.truth()

    Player(direction, tables.params).play(script)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_parts_and_frames_follow_one_another(name: str, stall: float) -> None:
    tables, rng = window_tables("tiny"), np.random.default_rng(2)
    direction, part_of = PARTS[name]
    frames = []
    for _ in range(12):
        number = int(rng.integers(len(tables.sites)))
        site = tables.sites[number]
        whole = rng.integers(4) == 0
        frames.append(frame_of(number, site, activations(site, 3), rng) if whole else part_of(number, site, rng))

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start(frames, stall, stall, seed=2)
        await run.finish()
        run.check()
        assert player.counters().items() >= run.truth().items()

    Player(direction, tables.params).play(script)
