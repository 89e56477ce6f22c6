"""Command timings worked out by hand for DDR4-2400 (tRCD 17, CL 17, CWL 12, BL/2 4, tRP 17, tRAS 39, tFAW 26).

A request spends a cycle in each of two queues before its first command. Unless a test says otherwise, cycles are
counted from the first command that a request offered at cycle 0 can have: ``ARRIVAL``.
"""

import itertools

import numpy as np
import pytest

from actcodec.errors import ActcodecError
from actcodec_sim.dram import DramDevice, DramResult, load_device, simulate, single_phase
from actcodec_sim.dram.audit import violations
from actcodec_sim.dram.commands import NAMES

PAGE = 8192
"""Bytes of a row; the mapping then counts bank groups (4), banks (4), ranks (2), rows."""
ARRIVAL = 2
GROUP, BANK, RANK, ROW = PAGE, 4 * PAGE, 16 * PAGE, 32 * PAGE


@pytest.fixture(scope="module")
def ddr4() -> DramDevice:
    return load_device("DDR4-2400")


def run(device: DramDevice, addresses: list[int], writes: list[bool] | None = None, **options) -> DramResult:
    requests = single_phase(addresses, [False] * len(addresses) if writes is None else writes)
    return simulate(device, requests, record_commands=True, **options)


def commands(result: DramResult) -> list[str]:
    log = result.commands
    assert log is not None
    return [f"{cycle - ARRIVAL} {NAMES[kind]}" for cycle, kind in zip(log.cycle, log.kind, strict=True)]


def done(result: DramResult) -> list[int]:
    return (result.done - ARRIVAL).tolist()


def test_single_read(ddr4):
    result = run(ddr4, [0])
    assert commands(result) == ["0 ACT", "17 RD"]
    assert result.cycles - ARRIVAL == 17 + 17 + 4


def test_single_write(ddr4):
    result = run(ddr4, [0], [True])
    assert commands(result) == ["0 ACT", "17 WR"]
    assert result.cycles - ARRIVAL == 17 + 12 + 4


def test_row_hits_go_at_tccd_l(ddr4):
    result = run(ddr4, [0, 64, 128])
    assert commands(result) == ["0 ACT", "17 RD", "23 RD", "29 RD"]
    assert (result.row_hits, result.activates) == (2, 1)
    assert result.row_hit.tolist() == [False, True, True]
    assert done(result) == [38, 44, 50]


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
    assert done(result) == [38, 94, 44]
    assert result.row_hit.tolist() == [False, False, True]
    assert result.average_read_latency == pytest.approx((39 + 94 + 43) / 3)  # in the queue from 1, 2, 3 on


def columns_before_precharge(result: DramResult, bank: int) -> int:
    """RD commands of ``bank`` up to its first PRE."""
    log = result.commands
    assert log is not None
    kinds = [NAMES[kind] for kind, target in zip(log.kind, log.target, strict=True) if target == bank]
    return kinds[: kinds.index("PRE")].count("RD")


def test_row_with_four_hits_is_closed_for_an_older_request(ddr4):
    # Two banks of a group take turns, so that a bank's hits are 2 · tCCD_L = 12 apart; PRE is legal after tRTP = 9.
    hits = [64 * i + bank for i in range(2, 30) for bank in (0, BANK)]
    result = run(ddr4, [0, ROW, BANK, *hits])
    assert columns_before_precharge(result, 0) == 4
    assert result.row_hit[1] == 0
    assert violations(ddr4, result.commands) == []


def test_hits_go_on_while_the_precharge_is_not_legal(ddr4):
    # tCCD_L = 6 puts a hit before every tRTP = 9 after the last.
    result = run(ddr4, [0, ROW, *[64 * i for i in range(1, 60)]])
    assert columns_before_precharge(result, 0) == 60


def test_banks_take_turns(ddr4):
    result = run(ddr4, [0, 64, 128, GROUP, GROUP + 64, GROUP + 128])
    assert commands(result) == ["0 ACT", "4 ACT", "17 RD", "21 RD", "25 RD", "29 RD", "33 RD", "37 RD"]


def test_bank_whose_queue_is_full_does_not_hold_up_others(ddr4):
    result = run(ddr4, [i * ROW for i in range(20)] + [GROUP])
    assert done(result)[-1] == 20 + 17 + 17 + 4  # taken in at 20, opened at once


def test_read_overtakes_a_write(ddr4):
    result = run(ddr4, [0, GROUP], [True, False])
    # The write is gathered; the read at 1 goes first, then the write, as nothing else is left.
    assert commands(result) == ["1 ACT", "18 RD", "19 ACT", f"{19 + 17} WR"]


def test_read_of_a_gathered_write_is_answered_from_it(ddr4):
    result = run(ddr4, [0, 0], [True, False])
    assert commands(result) == ["1 ACT", "18 WR"]
    assert result.forwarded == 1
    assert done(result) == [34, 1]
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
    lines = [" ".join(line.split()[:2]) for line in str(result.commands).splitlines()]
    assert lines == ["4002 ACT", "4019 RD", "4680 PRE", "4697 REF", "5117 ACT", "5134 RD"]
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
    assert commands(result) == ["0 ACT", "17 RD", "50 ACT", "67 RD"]  # 38 + ARRIVAL + 10


def test_open_rows_are_closed_one_by_one_before_a_refresh(ddr4):
    late = single_phase([0, GROUP, BANK], [False] * 3, [4600] * 3)
    result = simulate(ddr4, late, record_commands=True)
    assert result.precharges == 0  # done before the refresh
    slow = ddr4.model_copy(update={"timing": ddr4.timing.model_copy(update={"tPPD": 4})})
    requests = single_phase([0, GROUP, BANK, 0], [False] * 4, [4600] * 3 + [4700])
    for device, pause in ((ddr4, 1), (slow, 4)):
        result = simulate(device, requests, record_commands=True)
        lines = [line for line in str(result.commands).splitlines() if "PRE" in line or "REF" in line]
        precharges = [f"{4680 + pause * i} PRE {bank} -1" for i, bank in enumerate([0, 1, 4])]
        assert lines == [*precharges, f"{4680 + 2 * pause + 17} REF 0 -1"]
        assert violations(device, result.commands) == []


def test_writes_to_another_rank_follow_without_a_gap(ddr4):
    result = run(ddr4, [0, RANK], [True, True])
    assert commands(result) == ["1 ACT", "2 ACT", "18 WR", "22 WR"]  # gathered until the list ends, at 1
    assert violations(ddr4, result.commands) == []


def test_requests_of_an_address_that_waits_are_merged(ddr4):
    result = run(ddr4, [0, 64, 64, 64])
    assert commands(result) == ["0 ACT", "17 RD", "23 RD"]
    assert result.merged == 2
    assert done(result) == [38, 44, 44, 44]
    result = run(ddr4, [0, 0], [True, True])
    assert commands(result) == ["1 ACT", "18 WR"]
    assert (result.merged, result.writes) == (1, 2)


def test_last_done_counts_a_write_when_it_is_taken_in(ddr4):
    result = run(ddr4, [0], [True])
    assert (result.last_done, result.cycles - ARRIVAL) == (2, 17 + 12 + 4)


def test_posted_writes_end_when_all_are_taken_in(ddr4):
    writes = [i * ROW for i in range(40)]
    posted = run(ddr4, writes, [True] * 40, posted_writes=True)
    whole = run(ddr4, writes, [True] * 40)
    assert posted.cycles == posted.last_done == whole.last_done < whole.cycles
    performed = posted.done > 0
    assert 0 < performed.sum() < 40
    assert (posted.done[performed] == whole.done[performed]).all()
    assert posted.activates < whole.activates
    assert posted.energy.total < whole.energy.total
    mixed = run(ddr4, [0, GROUP], [True, False], posted_writes=True)
    assert mixed.cycles == mixed.done[1]


def test_closed_page_closes_the_row_with_each_column_command(ddr4):
    result = run(ddr4, [0, 64], closed_page=True)
    # Auto-precharge at tRAS = 39 after ACT, the next ACT at tRC.
    assert commands(result) == ["0 ACT", "17 RDA", "56 ACT", "73 RDA"]
    assert (result.row_hits, result.activates, result.precharges) == (0, 2, 2)
    # The second precharge would come after the last data.
    assert result.energy.active_standby == pytest.approx(8 * 1.2 * 0.83 * 43 * (39 + 38))
    result = run(ddr4, [0, 64], [True, True], closed_page=True)
    assert commands(result)[1:3] == ["18 WRA", f"{18 + 12 + 4 + 18 + 17} ACT"]


def test_channels_work_side_by_side(ddr4):
    organization = ddr4.organization.model_copy(update={"channels": 2, "mapping": "rorababgchco"})
    device = ddr4.model_copy(update={"organization": organization})
    assert device.capacity_bytes == 2 * ddr4.capacity_bytes
    assert device.peak_bytes_per_second == 2 * ddr4.peak_bytes_per_second
    result = run(device, [0, PAGE, 64, PAGE + 64])
    assert commands(result) == ["0 ACT", "1 ACT", "17 RD", "18 RD", "23 RD", "24 RD"]
    assert violations(device, result.commands) == []
    alone = run(ddr4, [0, 64])
    assert (result.done[[0, 2]] - alone.done).tolist() == [0, 0]


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
    assert energy.precharge_standby == pytest.approx(per_ma_cycle * 34 * (38 + 2 * ARRIVAL))
    assert energy.write == energy.refresh == 0
    assert energy.total == pytest.approx(per_ma_cycle * (433 + 368 + 38 * (43 + 34) + 2 * ARRIVAL * 34))


@pytest.mark.parametrize(
    ("address", "problem"), [(1 << 34, "outside"), (-64, "outside"), (32, "not aligned to 64-byte")]
)
def test_bad_address_is_refused(ddr4, address, problem):
    with pytest.raises(ActcodecError, match=problem):
        run(ddr4, [0, address])


def test_bad_queue_depth_is_refused(ddr4):
    with pytest.raises(ActcodecError, match="queue_depth: 0"):
        run(ddr4, [0], queue_depth=0)
