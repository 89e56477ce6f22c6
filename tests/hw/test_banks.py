"""Two banks: a site runs from one while another's tables are loaded into the other; and images that fill both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from actcodec.params import load_params
from actcodec.tables.image import site_image
from support.frames import DECODER, ENCODER, Direction, Frame, Player, frame_of, tables_of
from support.sites import activations
from support.streams import Source, Strobes


def frames_in(tables_seed: int, sites: list[int], bank: int, number: int) -> list[Frame]:
    """Frames of sites of the synthetic tables, asked for by another number and bank."""
    tables, rng = tables_of(load_params("tiny"), tables_seed), np.random.default_rng(1)
    frames = [frame_of(number, tables.sites[n], activations(tables.sites[n], n), rng) for n in sites]
    return [replace(frame, bank=bank) for frame in frames]


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_site_runs_while_the_next_one_is_loaded(name: str) -> None:
    direction: Direction = {"encoder": ENCODER, "decoder": DECODER}[name]
    params = load_params("tiny")
    tables = tables_of(params, 1)

    def words(site: int, bank: int) -> list[int]:
        image = getattr(site_image(tables, tables.sites[site].info.name, 3), name)
        return player.load_words(image, bank)

    async def script(player: Player) -> None:
        order = [4, 3, 2, 4]
        first = Source(player.dut.load, words(order[0], 0))
        await player.bench(first).until(lambda: first.done)
        for turn, site in enumerate(order):
            bank = turn % 2
            load = Source(player.dut.load, words(order[(turn + 1) % len(order)], 1 - bank), 0.2)
            run = player.start(frames_in(1, [site] * 2, bank, 3))
            errors = Strobes(player.dut.errors)
            run.bench.streams += [load, errors]
            await run.finish()
            assert load.done and not any(errors.counts.values())
            run.check()

    player = Player(direction, params)
    player.play(script)


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_an_image_of_bank_0_may_fill_both_and_ends_what_bank_1_held(name: str) -> None:
    direction: Direction = {"encoder": ENCODER, "decoder": DECODER}[name]
    params = load_params("tiny")
    tables = tables_of(params, 1)
    assert len(tables.sites) > params.max_sites // 2

    async def script(player: Player) -> None:
        image = getattr(site_image(tables, tables.sites[0].info.name, 0), name)
        load = Source(player.dut.load, player.load_words(image, 1))
        await player.bench(load).until(lambda: load.done)
        await player.load(tables)
        # The last site lies in the upper half.
        number = len(tables.sites) - 1
        last = frame_of(number, tables.sites[number], activations(tables.sites[number], 1), np.random.default_rng(2))
        run = player.start([last])
        await run.finish()
        run.check()
        gone = player.start(frames_in(1, [0], 1, 0))
        errors = Strobes(player.dut.errors)
        gone.bench.streams.append(errors)
        await gone.bench.step(60)
        assert errors.counts["bad_site"] == 1 and not gone.outputs.taken and not player.ctx.get(player.dut.busy)

    Player(direction, params).play(script)
