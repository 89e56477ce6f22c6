"""What only the encoder does; the rest is in test_codec.py."""

import pytest

from support.frames import CONFIGS, ENCODER, Player, large_and_small


@pytest.mark.parametrize("config", CONFIGS)
def test_a_frame_takes_no_more_cycles_longer_than_input_stalls_are_counted(config: str) -> None:
    tables, (large, _) = large_and_small(config)

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start([large], input_stall=0.95)
        run.starts.stall = 0.0
        await run.finish()
        run.check()
        ((measured, formula),) = run.cycles()
        assert player.counters()["input_stalls"] >= measured - formula > 50

    Player(ENCODER, tables.params).play(script)


def test_activations_are_taken_ahead_but_nothing_is_encoded_before_the_start() -> None:
    tables, (_, small) = large_and_small("tiny")

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start([small])
        run.starts.stall = 1.0
        await run.bench.step(20)
        # The input buffer holds two beats.
        assert len(run.inputs.taken_at) == 2 and not run.outputs.taken
        run.starts.stall = 0.0
        await run.finish()
        run.check()

    Player(ENCODER, tables.params).play(script)
