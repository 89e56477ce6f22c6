"""No timing rule is broken, whatever the requests; and the checker that says so finds a broken one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actcodec_sim.dram import DramDevice, DramResult, Requests, load_device, simulate, single_phase
from actcodec_sim.dram.audit import violations
from actcodec_sim.dram.commands import REFRESH, CommandLog

DEVICES = ("DDR4-2400", "LPDDR4-3200", "LPDDR4_8Gb_x16_2400", "LPDDR5-6400")


@st.composite
def request_lists(draw: st.DrawFn) -> Requests:
    """Requests that crowd few rows of few banks, in bursts and with pauses, in phases."""
    count = draw(st.integers(1, 300))
    seed = draw(st.integers(0, 2**32 - 1))
    spread = draw(st.sampled_from([1 << 14, 1 << 18, 1 << 22, 1 << 29]))
    write_share = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    pause = draw(st.sampled_from([0, 3, 200]))
    rng = np.random.default_rng(seed)
    run_length = draw(st.sampled_from([1, 4, 32]))
    start = np.repeat(rng.integers(0, spread // 128, count // run_length + 1), run_length)[:count]
    address = (start + np.arange(count) % run_length) * 128
    return Requests(
        address=address % spread,
        is_write=rng.random(count) < write_share,
        earliest=np.cumsum(rng.integers(0, pause + 1, count)),
        phase=np.sort(rng.integers(0, draw(st.sampled_from([1, 3])), count)),
    )


def device_of(name: str, channels: int) -> DramDevice:
    """A preset with as many channels, next to each other in bursts of a row."""
    device = load_device(name)
    organization = device.organization.model_copy(update={"channels": channels, "mapping": "rorababgchco"})
    return device if channels == 1 else device.model_copy(update={"organization": organization})


@pytest.mark.parametrize("name", DEVICES)
@settings(deadline=None, max_examples=60)
@given(
    requests=request_lists(),
    queue_depth=st.sampled_from([1, 2, 8, 32]),
    closed_page=st.booleans(),
    channels=st.sampled_from([1, 1, 2]),
)
def test_no_timing_rule_is_broken(name, requests, queue_depth, closed_page, channels):
    device = device_of(name, channels)
    result = simulate(device, requests, queue_depth=queue_depth, closed_page=closed_page, record_commands=True)
    log = result.commands
    assert log is not None
    assert violations(device, log) == []
    earliest = requests.earliest.copy()
    ends = np.maximum.accumulate(result.done)
    for i in np.flatnonzero(np.diff(requests.phase)) + 1:
        earliest[requests.phase == requests.phase[i]] += ends[i - 1]
    assert (result.taken > earliest).all()
    answered = result.done == result.taken + 1
    merged = merged_requests(requests, result) & ~answered
    assert answered.sum() == result.forwarded
    assert merged.sum() == result.merged
    shortest = min(device.timing.CL, device.timing.CWL) + device.burst_cycles
    assert (merged | answered | (result.done >= earliest + shortest)).all()
    columns = len(requests) - result.forwarded - result.merged
    closes = result.precharges - (columns if closed_page else 0)
    assert len(log) == columns + result.activates + closes + result.refreshes
    assert_same_address_order(requests, result, answered)


def merged_requests(requests: Requests, result: DramResult) -> np.ndarray:
    """Requests that end with an earlier one of their address and kind: merged, or answered just then by chance."""
    first: dict[tuple[int, bool, int], int] = {}
    keys = zip(requests.address.tolist(), requests.is_write.tolist(), result.done.tolist(), strict=True)
    return np.array([first.setdefault(key, i) != i for i, key in enumerate(keys)])


def assert_same_address_order(requests: Requests, result: DramResult, answered: np.ndarray) -> None:
    """Accesses to one address end in the order of the list; a forwarded read follows the write it is answered from."""
    for address in np.unique(requests.address):
        same = np.flatnonzero(requests.address == address)
        served = same[~answered[same]]
        writes = served[requests.is_write[served]]
        assert (np.diff(result.done[writes]) >= 0).all()
        for read in served[~requests.is_write[served]]:
            assert (result.done[writes[writes < read]] < result.done[read]).all()
            assert (result.done[writes[writes > read]] > result.done[read]).all()
        for read in np.setdiff1d(same, served):
            earlier = writes[writes < read]
            assert len(earlier) and result.done[earlier[-1]] > result.taken[read]


@pytest.mark.parametrize("name", DEVICES)
def test_recording_changes_nothing(name):
    device = load_device(name)
    requests = single_phase(np.arange(3000) * 128, np.arange(3000) % 7 == 0)
    quiet, recorded = (simulate(device, requests, record_commands=flag) for flag in (False, True))
    assert quiet.commands is None
    assert (quiet.done == recorded.done).all()
    assert quiet.energy == recorded.energy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tRCD", 18),
        ("tRP", 18),
        ("tRTP", 10),
        ("tWR", 19),
        ("tRRD_S", 5),
        ("tRRD_L", 7),
        ("tFAW", 27),
        ("tCCD_S", 5),
        ("tCCD_L", 7),
        ("tWTR_S", 4),
        ("tWTR_L", 10),
        ("tRTRS", 2),
        ("tPPD", 5),
        ("tRAS", 40),
        ("tRC", 57),
        ("tRFC", 421),
        ("CL", 18),
        ("CWL", 13),
    ],
)
def test_checker_notices_a_device_that_is_one_cycle_slower(field, value):
    """Every constraint binds somewhere in a log of mixed requests; a log that is legal for less breaks it."""
    fast = load_device("DDR4-2400")
    slow = fast.model_copy(update={"timing": fast.timing.model_copy(update={field: value})})
    rng = np.random.default_rng(1)
    far = rng.integers(0, 1 << 22, 1500) // 64 * 64
    near = rng.integers(0, 1 << 17, 1500) // 64 * 64
    requests = single_phase(np.concatenate([far, near]), rng.random(3000) < 0.4)
    log = simulate(fast, requests, record_commands=True).commands
    assert log is not None
    assert violations(fast, log) == []
    assert violations(slow, log)


def test_checker_notices_missing_refreshes_and_closed_rows():
    device = load_device("DDR4-2400")
    requests = single_phase(np.arange(4000) * 64, np.zeros(4000, bool))
    log = simulate(device, requests, record_commands=True).commands
    assert log is not None
    first = np.flatnonzero(log.kind == REFRESH)[0]
    no_refresh = _without(log, np.flatnonzero(log.kind == REFRESH)[:-1])
    assert any("tREFI" in line for line in violations(device, no_refresh))
    early = dataclasses.replace(log, cycle=np.where(np.arange(len(log)) == first, log.cycle - 1, log.cycle))
    assert any("tRP" in line for line in violations(device, early))
    assert any("where row None is open" in line for line in violations(device, _without(log, [0])))


def _without(log: CommandLog, lines) -> CommandLog:
    return CommandLog(*(np.delete(getattr(log, f.name), lines) for f in dataclasses.fields(log)))
