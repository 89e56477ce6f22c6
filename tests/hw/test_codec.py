"""What encoder and decoder have in common: every kind of site, `last`, cycles, counters, stalls, reset, odd builds."""

import pytest

from actcodec.params import CodecParams, load_params
from support.frames import (
    CONFIGS,
    DECODER,
    ENCODER,
    FOLDED,
    ODD_BUILDS,
    Direction,
    Player,
    frames_of,
    large_and_small,
    play_alone,
    sites_without_bits_at_the_end,
    tables_of,
    tables_with_edges,
)

Build = str | CodecParams
DIRECTIONS, NAMES = (ENCODER, DECODER), ("encoder", "decoder")
CASES = {
    f"{name} {config}": (direction, config)
    for config in CONFIGS
    for direction, name in zip(DIRECTIONS, NAMES, strict=True)
}
# The decoder of a folded build is that of any other.
CASES |= {"encoder folded": (ENCODER, FOLDED)}
cases = pytest.mark.parametrize(("direction", "config"), list(CASES.values()), ids=list(CASES))


@cases
@pytest.mark.parametrize("seed", [1, 2])
def test_every_site_without_stalls_gives_the_golden_output_in_the_cycles_of_the_formula(
    direction: Direction, config: Build, seed: int
) -> None:
    tables = tables_with_edges(config, seed)

    async def script(player: Player) -> None:
        await player.load(tables)
        for frame in frames_of(tables, seed):
            before = player.counters()
            run = player.start([frame])
            await run.finish()
            run.check()
            for measured, formula in run.cycles():
                assert measured == formula, frame.site.info
            after = player.counters()
            counted = {name: after[name] - before[name] for name in run.truth()}
            assert counted == run.truth()
        assert (after["input_stalls"], after["output_stalls"]) == (0, 0)

    Player(direction, tables.params).play(script)


@cases
@pytest.mark.parametrize(("input_stall", "output_stall"), [(0.0, 0.9), (0.5, 0.4)])
def test_stalls_change_nothing_and_are_counted(
    direction: Direction, config: Build, input_stall: float, output_stall: float
) -> None:
    tables = tables_with_edges(config, 3)

    async def script(player: Player) -> None:
        await player.load(tables, stall=0.5)
        run = player.start(frames_of(tables, 3), input_stall, output_stall, seed=3)
        await run.finish()
        run.check()
        counters = player.counters()
        assert counters.items() >= run.truth().items()
        assert counters["output_stalls"] == run.outputs.held

    Player(direction, tables.params).play(script)


@cases
def test_a_frame_that_starts_while_the_one_before_waits_to_leave_keeps_last_in_its_place(
    direction: Direction, config: Build
) -> None:
    tables, (large, small) = large_and_small(config)

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start([small, large, small])
        first = len(direction.outputs(small))
        for frames_taken, outputs in ((1, first), (2, first + len(direction.outputs(large)))):
            # One output more than the output buffer holds stays back until the next frame can go no further.
            await run.bench.until(lambda outputs=outputs: len(run.outputs.taken) >= outputs - 3)
            run.outputs.stall = 1.0
            await run.bench.until(lambda count=frames_taken: len(run.starts.taken_at) > count)
            await run.bench.step(60)
            run.outputs.stall = 0.0
        await run.finish()
        run.check()

    Player(direction, tables.params).play(script)


@cases
def test_a_reset_in_the_middle_of_a_frame_leaves_nothing_behind(direction: Direction, config: Build) -> None:
    tables, (large, small) = large_and_small(config)

    async def script(player: Player) -> None:
        await player.load(tables)
        for cut in range(4, 60, 11):
            await player.start([large], output_stall=0.3, seed=cut).bench.step(cut)
            await player.reset()
            assert not any(player.counters().values())
            await player.load(tables)
            run = player.start([small, large])
            await run.finish()
            run.check()
            assert player.counters().items() >= run.truth().items()

    Player(direction, tables.params).play(script)


@cases
def test_a_site_whose_last_block_stores_nothing_still_marks_its_last_output(
    direction: Direction, config: Build
) -> None:
    tables, frames = sites_without_bits_at_the_end(config)

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start(frames)
        await run.finish()
        run.check()

    Player(direction, tables.params).play(script)


@pytest.mark.parametrize("direction", DIRECTIONS, ids=NAMES)
@pytest.mark.parametrize("build", ODD_BUILDS, ids=lambda p: f"{p.lanes}x{p.rows} of {p.block}, {p.codes} codes")
def test_a_single_row_a_single_lane_fewer_codes_than_lanes_and_sizes_that_are_no_powers_of_two_work(
    direction: Direction, build: CodecParams
) -> None:
    play_alone(direction, build)


@pytest.mark.parametrize("direction", DIRECTIONS, ids=NAMES)
def test_tables_can_be_replaced_between_frames(direction: Direction) -> None:
    params = load_params("tiny")

    async def script(player: Player) -> None:
        for seed in (5, 6):
            tables = tables_of(params, seed)
            await player.load(tables)
            run = player.start(frames_of(tables, seed)[:4])
            await run.finish()
            run.check()

    Player(direction, params).play(script)
