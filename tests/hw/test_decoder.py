"""What only the decoder does; the rest is in test_codec.py."""

import pytest

from support.frames import CONFIGS, DECODER, Player, large_and_small


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

    Player(DECODER, tables.params).play(script)


def test_words_of_the_next_frame_are_taken_ahead_but_nothing_is_decoded_before_the_start() -> None:
    tables, (_, small) = large_and_small("tiny")

    async def script(player: Player) -> None:
        await player.load(tables)
        run = player.start([small])
        run.starts.stall = 1.0
        await run.bench.step(30)
        # One word in the unpacker, two in the input buffer.
        assert len(run.inputs.taken_at) == 3 and not run.outputs.taken
        run.starts.stall = 0.0
        await run.finish()
        run.check()

    Player(DECODER, tables.params).play(script)
