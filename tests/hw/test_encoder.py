"""What only the encoder does; the rest is in test_codec.py."""

from support.frames import ENCODER, Player, large_and_small


def test_stalls_on_both_sides_are_counted() -> None:
    tables, (large, small) = large_and_small("tiny")

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start([large, small], input_stall=0.4, output_stall=0.6)
        await run.finish()
        stalls = {"input_stalls": run.inputs.starved, "output_stalls": run.outputs.held}
        assert player.counters() == run.truth() | stalls

    Player(ENCODER, tables.params).play(script)


def test_the_block_takes_no_activation_before_it_is_started() -> None:
    tables, (_, small) = large_and_small("tiny")

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start([small])
        run.starts.stall = 1.0
        await run.bench.step(20)
        assert not run.inputs.taken_at and not run.outputs.taken
        run.starts.stall = 0.0
        await run.finish()
        run.check()

    Player(ENCODER, tables.params).play(script)
