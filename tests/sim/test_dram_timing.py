"""Command timings worked out by hand for DDR4-2400 (tRCD 17, CL 17, CWL 12, BL/2 4, tRP 17, tRAS 39, tFAW 26)."""

import itertools

import numpy as np
import pytest

from actcodec.errors import ActcodecError
from actcodec_sim.dram import DramDevice, DramResult, load_device, simulate, single_phase
from actcodec_sim.dram.audit import violations

PAGE = 8192
"""Bytes of a row; the mapping then counts bank groups (4), banks (4), ranks (2), rows."""
GROUP, BANK, RANK, ROW = PAGE, 4 * PAGE, 16 * PAGE, 32 * PAGE


@pytest.fixture(scope="module")
def ddr4() -> DramDevice:
    return load_device("DDR4-2400")


def run(device: DramDevice, addresses: list[int], writes: list[bool] | None = None, **options) -> DramResult:
    requests = single_phase(addresses, [False] * len(addresses) if writes is None else writes)
    return simulate(device, requests, record_commands=True, **options)


def commands(result: DramResult) -> list[str]:
    assert result.commands is not None
    return [" ".join(line.split()[:2]) for line in str(result.commands).splitlines()]


def test_single_read(ddr4):
    result = run(ddr4, [0])
    assert commands(result) == ["0 ACT", "17 RD"]
    assert result.cycles == 17 + 17 + 4


def test_single_write(ddr4):
    result = run(ddr4, [0], [True])
    assert commands(result) == ["0 ACT", "17 WR"]
    assert result.cycles == 17 + 12 + 4


def test_row_hits_go_at_tccd_l(ddr4):
    result = run(ddr4, [0, 64, 128])
    assert commands(result) == ["0 ACT", "17 RD", "23 RD", "29 RD"]
    assert (result.row_hits, result.activates) == (2, 1)
    assert result.row_hit.tolist() == [False, True, True]
    assert result.done.tolist() == [38, 44, 50]


def test_another_group_goes_at_trrd_s_and_tccd_s(ddr4):
    assert commands(run(ddr4, [0, GROUP])) == ["0 ACT", "4 ACT", "17 RD", "21 RD"]


def test_another_bank_of_the_group_goes_at_trrd_l_and_tccd_l(ddr4):
    assert commands(run(ddr4, [0, BANK])) == ["0 ACT", "6 ACT", "17 RD", "23 RD"]


def test_another_rank_leaves_trtrs_on_the_bus(ddr4):
    assert commands(run(ddr4, [0, RANK])) == ["0 ACT", "1 ACT", "17 RD", "22 RD"]


def test_row_conflict_after_read_waits_for_tras(ddr4):
    result = run(ddr4, [0, ROW])
    assert commands(result) == ["0 ACT", "17 RD", "39 PRE", "56 ACT", "73 RD"]
    assert (result.row_hits, result.activates, result.precharges) == (0, 2, 1)


def test_row_conflict_after_late_read_waits_for_trtp(ddr4):
    result = run(ddr4, [0, 64, 128, 192, ROW])
    assert commands(result)[4:6] == ["35 RD", "44 PRE"]


def test_row_hit_overtakes_a_conflict(ddr4):
    result = run(ddr4, [0, ROW, 64])
    assert commands(result) == ["0 ACT", "17 RD", "23 RD", "39 PRE", "56 ACT", "73 RD"]
    assert result.done.tolist() == [38, 94, 44]
    assert result.row_hit.tolist() == [False, False, True]
    assert result.average_read_latency == pytest.approx((38 + 93 + 42) / 3)  # taken in at 0, 1, 2


def test_oldest_request_is_overtaken_32_times_at_most(ddr4):
    hits = [64 * i for i in range(1, 60)]
    result = run(ddr4, [0, ROW, *hits])
    order = np.argsort(result.done)
    assert order[:33].tolist() == [0, *range(2, 34)]  # 0 opens the row; of the 32 hits behind it each overtakes
    assert order[33] == 1
    assert violations(ddr4, result.commands) == []


def test_banks_take_turns(ddr4):
    result = run(ddr4, [0, 64, 128, GROUP, GROUP + 64, GROUP + 128])
    assert commands(result) == ["0 ACT", "4 ACT", "17 RD", "21 RD", "25 RD", "29 RD", "33 RD", "37 RD"]


def test_bank_whose_queue_is_full_does_not_hold_up_others(ddr4):
    result = run(ddr4, [i * ROW for i in range(20)] + [GROUP])
    assert result.done[-1] == 20 + 17 + 17 + 4  # taken in at 20, opened at once


def test_read_overtakes_a_write(ddr4):
    result = run(ddr4, [0, GROUP], [True, False])
    # The write is gathered; the read at 1 goes first, then the write, as nothing else comes.
    assert commands(result) == ["1 ACT", "5 ACT", "18 RD", f"{18 + 17 + 4 + 1 - 12} WR"]


def test_read_of_a_gathered_write_is_answered_from_it(ddr4):
    result = run(ddr4, [0, 0], [True, False])
    assert commands(result) == ["1 ACT", "18 WR"]
    assert result.forwarded == 1
    assert result.done.tolist() == [34, 2]
    assert result.energy.read == 0


def test_write_does_not_overtake_a_read_of_its_address(ddr4):
    result = run(ddr4, [64, 64, 128], [False, True, True], queue_depth=2)
    assert commands(result) == ["0 ACT", "17 RD", "27 WR", "33 WR"]
    # Nine reads fill the bank's queue, so that the tenth, of address 0, waits before it; the write of 0 behind that.
    addresses = [i * ROW for i in range(1, 10)] + [0, 0]
    result = run(ddr4, addresses, [False] * 10 + [True], queue_depth=1)
    assert result.done[-2] < result.done[-1]


def test_writes_are_gathered_until_their_queue_is_full(ddr4):
    writes = [GROUP + 64 * i for i in range(32)]
    reads = [64 * i for i in range(64)]
    result = run(ddr4, [*writes, *reads], [True] * 32 + [False] * 64)
    kinds = [line.split()[1] for line in commands(result) if line.split()[1] in ("RD", "WR")]
    assert kinds.count("WR") == 32
    turns = sum(a != b for a, b in itertools.pairwise(kinds))
    assert turns <= 2  # one burst of writes, no ping-pong


def test_row_conflict_after_write_waits_for_twr(ddr4):
    # Gathered until the list ends, at 1; from there as ever.
    assert commands(run(ddr4, [0, ROW], [True, True]))[1:3] == ["18 WR", f"{18 + 12 + 4 + 18} PRE"]


def test_fifth_activate_waits_for_tfaw(ddr4):
    result = run(ddr4, [0, GROUP, 2 * GROUP, 3 * GROUP, BANK])
    acts = [line for line in commands(result) if line.endswith("ACT")]
    assert acts == ["0 ACT", "4 ACT", "8 ACT", "12 ACT", "26 ACT"]


def test_read_to_write_turnaround(ddr4):
    assert commands(run(ddr4, [0, 64], [False, True]))[1:] == ["17 RD", f"{17 + 17 + 4 + 1 - 12} WR"]


def test_write_to_read_turnaround_by_group(ddr4):
    def turn(read: int) -> list[str]:
        # A queue of one write is full at once, and drained before the read comes.
        return commands(run(ddr4, [0, read], [True, False], queue_depth=1))

    assert turn(64)[1:] == ["17 WR", f"{17 + 12 + 4 + 9} RD"]
    assert turn(GROUP)[2:] == ["17 WR", f"{17 + 12 + 4 + 3} RD"]
    assert turn(RANK)[2:] == ["17 WR", "18 RD"]  # data: 29…33, 35…39


def test_refresh_closes_the_rows_of_its_rank_and_takes_trfc(ddr4):
    late = single_phase([0, 64], [False, False], [4000, 4681])
    result = simulate(ddr4, late, record_commands=True)
    assert commands(result) == ["4000 ACT", "4017 RD", "4680 PREA", "4697 REF", "5117 ACT", "5134 RD"]
    assert result.refreshes == 1
    assert result.row_hits == 0


def test_ranks_refresh_in_turn(ddr4):
    result = simulate(ddr4, single_phase([0], [False], [20000]), record_commands=True)
    refreshes = [line for line in str(result.commands).splitlines() if "REF" in line]
    assert refreshes == ["4680 REF 0 -1", "9360 REF 1 -1", "14040 REF 0 -1", "18720 REF 1 -1"]


def test_phase_waits_for_the_last_data_of_the_one_before(ddr4):
    requests = single_phase([0, GROUP], [False, False], [0, 10])
    phased = type(requests)(requests.address, requests.is_write, requests.earliest, np.array([0, 1]))
    result = simulate(ddr4, phased, record_commands=True)
    assert commands(result) == ["0 ACT", "17 RD", "48 ACT", "65 RD"]


def test_queue_of_one_still_feeds_every_bank(ddr4):
    assert commands(run(ddr4, [0, GROUP], queue_depth=1)) == ["0 ACT", "4 ACT", "17 RD", "21 RD"]


def test_nothing_to_do_takes_no_time(ddr4):
    result = run(ddr4, [])
    assert (result.cycles, result.energy.total) == (0, 0)


def test_energy_of_a_single_read(ddr4):
    energy = run(ddr4, [0]).energy
    per_ma_cycle = 8 * 1.2 * 0.83
    assert energy.activate == pytest.approx(per_ma_cycle * (48 * 56 - 43 * 39 - 34 * 17))
    assert energy.read == pytest.approx(per_ma_cycle * (135 - 43) * 4)
    assert energy.active_standby == pytest.approx(per_ma_cycle * 43 * 38)
    assert energy.precharge_standby == pytest.approx(per_ma_cycle * 34 * 38)
    assert energy.write == energy.refresh == 0
    assert energy.total == pytest.approx(per_ma_cycle * (433 + 368 + 38 * (43 + 34)))


@pytest.mark.parametrize(
    ("address", "problem"), [(1 << 34, "outside"), (-64, "outside"), (32, "not aligned to 64-byte")]
)
def test_bad_address_is_refused(ddr4, address, problem):
    with pytest.raises(ActcodecError, match=problem):
        run(ddr4, [0, address])


def test_bad_queue_depth_is_refused(ddr4):
    with pytest.raises(ActcodecError, match="queue_depth: 0"):
        run(ddr4, [0], queue_depth=0)
