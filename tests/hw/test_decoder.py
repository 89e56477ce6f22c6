"""The decoder in the simulator: beats, `last`, cycles and counters of every kind of site."""

import pytest

from actcodec.params import CodecParams, load_params
from support.frames import (
    CONFIGS,
    DECODER,
    ODD_BUILDS,
    Player,
    frames_of,
    large_and_small,
    sites_without_bits_at_the_end,
    tables_of,
    tables_with_edges,
)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_site_without_stalls_gives_the_golden_beats_in_the_cycles_of_the_formula(config: str, seed: int) -> None:
    tables = tables_with_edges(config, seed)

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start(frames_of(tables, seed))
        await run.finish()
        run.check()
        assert [measured for measured, _ in run.cycles()] == [formula for _, formula in run.cycles()]
        assert player.counters() == run.truth() | {"input_stalls": 0, "output_stalls": 0}

    Player(DECODER, tables.params).play(script)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(("input_stall", "output_stall"), [(0.0, 0.9), (0.5, 0.4)])
def test_stalls_change_no_beat_and_are_counted(config: str, input_stall: float, output_stall: float) -> None:
    tables = tables_with_edges(config, 3)

    async def script(player: Player) -> None:
        await player.load(tables, stall=0.5)
        run = player.start(frames_of(tables, 3), input_stall, output_stall, seed=3)
        await run.finish()
        run.check()
        counters = player.counters()
        assert counters.items() >= run.truth().items()
        assert counters["output_stalls"] == run.outputs.held

    Player(DECODER, tables.params).play(script)


@pytest.mark.parametrize("config", CONFIGS)
def test_an_input_stall_is_a_cycle_that_the_frame_takes_longer(config: str) -> None:
    tables, (large, _) = large_and_small(config)

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start([large], input_stall=0.95)
        run.starts.stall = 0.0
        await run.finish()
        run.check()
        ((measured, formula),) = run.cycles()
        assert player.counters()["input_stalls"] == measured - formula > 50

    Player(DECODER, tables.params).play(script)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_frame_that_starts_while_the_one_before_waits_to_leave_keeps_last_in_its_place(config: str) -> None:
    tables, (large, small) = large_and_small(config)

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start([small, large, small])
        for frames_taken, beats in ((1, len(small.decoded)), (2, len(small.decoded) + len(large.decoded))):
            # One output more than the output buffer holds stays back until the next frame can go no further.
            await run.bench.until(lambda beats=beats: len(run.outputs.taken) >= beats - 3)
            run.outputs.stall = 1.0
            await run.bench.until(lambda count=frames_taken: len(run.starts.taken_at) > count)
            await run.bench.step(60)
            run.outputs.stall = 0.0
        await run.finish()
        run.check()

    Player(DECODER, tables.params).play(script)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_reset_in_the_middle_of_a_frame_leaves_nothing_behind(config: str) -> None:
    tables, (large, small) = large_and_small(config)

    async def script(player: Player) -> None:
        await player.load(tables)
        for cut in range(4, 60, 11):
            await player.start([large], output_stall=0.3, seed=cut).bench.step(cut)
            await player.reset()
            assert not any(player.counters().values())
            run = player.start([small, large])
            await run.finish()
            run.check()
            assert player.counters().items() >= run.truth().items()
            await player.reset()

    Player(DECODER, tables.params).play(script)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_site_whose_last_block_stores_nothing_still_marks_its_last_beat(config: str) -> None:
    tables, frames = sites_without_bits_at_the_end(config)

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start(frames)
        await run.finish()
        run.check()

    Player(DECODER, tables.params).play(script)


@pytest.mark.parametrize("build", ODD_BUILDS, ids=lambda p: f"{p.lanes}x{p.rows} of {p.block}")
def test_a_single_row_a_single_lane_and_sizes_that_are_no_powers_of_two_work(build: CodecParams) -> None:
    tables = tables_of(build, 7)

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start(frames_of(tables, 7)[:5])
        await run.finish()
        run.check()
        assert [measured for measured, _ in run.cycles()] == [formula for _, formula in run.cycles()]

    Player(DECODER, build).play(script)


def test_tables_can_be_replaced_between_frames() -> None:
    params = load_params("tiny")

    async def script(player: Player) -> None:
        for seed in (5, 6):
            tables = tables_of(params, seed)
            await player.load(tables)
            run = player.start(frames_of(tables, seed)[:4])
            await run.finish()
            run.check()

    Player(DECODER, params).play(script)


def test_words_of_the_next_frame_are_taken_ahead_but_nothing_is_decoded_before_the_start() -> None:
    tables, (_, small) = large_and_small("tiny")

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start([small])
        run.starts.stall = 1.0
        await run.bench.step(30)
        # Two words in the unpacker, two in the input buffer.
        assert len(run.inputs.taken_at) == 4 and not run.outputs.taken
        run.starts.stall = 0.0
        await run.finish()
        run.check()

    Player(DECODER, tables.params).play(script)
