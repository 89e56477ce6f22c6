"""The compiled controller against the plain one, cycle by cycle; and leaps over steady streams change nothing."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actcodec_sim.dram import Requests, load_device, simulate, single_phase
from actcodec_sim.dram.commands import NAMES
from support.plain_dram import PlainController

DEVICES = ("DDR4_8Gb_x8_2400", "LPDDR4_8Gb_x16_2400")


def stretch(rng: np.random.Generator, kind: str, count: int, transaction: int) -> np.ndarray:
    """Addresses of one kind of traffic, in transactions of the device."""
    start = int(rng.integers(0, 1 << 22))
    step = np.arange(count)
    if kind == "stream":
        place = start + step
    elif kind == "stride":
        place = start + step * int(rng.choice([2, 3, 16, 128, 1024]))
    elif kind == "interleaved":
        place = start + step % 3 * (1 << 19) + step // 3
    elif kind == "few":
        place = rng.integers(0, 40, count) * int(rng.choice([1, 128 * 32]))
    else:
        place = rng.integers(0, 1 << 22, count)
    return place % (1 << 23) * transaction


@st.composite
def traffic(draw: st.DrawFn, most: int) -> tuple[str, Requests]:
    """A device and a mixture of stretches, as fast as it goes or paced, in one phase or more."""
    name = draw(st.sampled_from(DEVICES))
    transaction = load_device(name).transaction_bytes
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = draw(
        st.lists(st.sampled_from(["stream", "stride", "interleaved", "few", "random"]), min_size=1, max_size=3)
    )
    address = np.concatenate([stretch(rng, kind, draw(st.integers(1, most)), transaction) for kind in kinds])
    count = len(address)
    share, run = draw(st.sampled_from([0.0, 0.3, 1.0])), draw(st.sampled_from([1, 16, 200]))
    is_write = np.repeat(rng.random(count // run + 1) < share, run)[:count]
    pace = draw(st.sampled_from([0, 3, 5, 6, 7, 12, 12.5, 40]))
    pause = draw(st.sampled_from([0, 4000]))
    earliest = (np.arange(count) * pace).astype(np.int64) + np.arange(count) // max(1, count // 2) * pause
    phases = draw(st.sampled_from([1, 1, 3]))
    return name, Requests(address, is_write, earliest, np.arange(count) * phases // count)


@settings(deadline=None, max_examples=12)
@given(traffic(150))
def test_figures_are_those_of_the_plain_controller(drawn):
    name, phased = drawn
    device = load_device(name)
    requests = single_phase(phased.address, phased.is_write, phased.earliest)
    plain = PlainController(device, requests)
    plain.run()
    for record in (True, False):
        result = simulate(device, requests, record_commands=record)
        assert result.taken.tolist() == plain.taken
        assert result.done.tolist() == plain.done
        if result.commands is not None:
            log = result.commands
            lines = zip(log.cycle.tolist(), log.kind.tolist(), log.target.tolist(), strict=True)
            assert [(cycle, NAMES[kind], target) for cycle, kind, target in lines] == plain.log


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("pace", [0, 5, 9, 12, 12.5])
@pytest.mark.parametrize("write", [False, True])
def test_leaps_change_nothing_for_long_streams(name, pace, write):
    device = load_device(name)
    count = 6000
    requests = single_phase(
        np.arange(count) * device.transaction_bytes, np.full(count, write), (np.arange(count) * pace).astype(np.int64)
    )
    assert_leaps_change_nothing(device, requests, 32)


@settings(deadline=None, max_examples=200)
@given(
    traffic(1500),
    st.sampled_from([1, 2, 8, 32]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1, 2]),
    st.sampled_from(["rochrababgco", "rorababgchco", "rorabacobgch"]),
)
@example((DEVICES[0], single_phase([0], [False])), 1, False, False, 1, "rochrababgco")
def test_leaps_change_nothing(drawn, queue_depth, closed_page, posted_writes, channels, mapping):
    name, requests = drawn
    device = load_device(name)
    organization = device.organization.model_copy(update={"channels": channels, "mapping": mapping})
    device = device.model_copy(update={"organization": organization})
    assert_leaps_change_nothing(device, requests, queue_depth, closed_page, posted_writes)


def assert_leaps_change_nothing(device, requests, queue_depth, closed_page=False, posted_writes=False):
    options = {"queue_depth": queue_depth, "closed_page": closed_page, "posted_writes": posted_writes}
    leapt = simulate(device, requests, **options)
    stepped = simulate(device, requests, leap_over_streams=False, **options)
    for field in ("taken", "done", "row_hit"):
        assert (getattr(leapt, field) == getattr(stepped, field)).all()
    for field in ("cycles", "last_done", "row_hits", "activates", "precharges", "refreshes", "forwarded", "merged"):
        assert getattr(leapt, field) == getattr(stepped, field)
    assert leapt.energy == stepped.energy
