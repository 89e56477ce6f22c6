"""Command windows of a frame: which commands they hold, and that runs unfold to the controller's log."""

import numpy as np
import pytest

from actcodec_sim.dram import DramDevice, load_device, simulate
from actcodec_sim.dram.commands import NAMES
from actcodec_sim.traffic import CommandWindow, SiteTraffic, command_windows, simulate_traffic
from actcodec_sim.traffic.site import StoredSite, stored_actcodec
from actcodec_sim.traffic.streams import StreamKind, frame_streams
from actcodec_sim.traffic.transactions import frame_transactions

DEPTH = 32


@pytest.fixture(scope="module", params=["DDR4-2400", "LPDDR4-3200"])
def device(request) -> DramDevice:
    return load_device(request.param)


@pytest.fixture(scope="module")
def stored() -> tuple[StoredSite, ...]:
    """A site of more than one page and two readers, one that ends inside a transaction, one without a byte."""
    return stored_actcodec(
        [
            SiteTraffic("large", 16, 64, 64, 2, 300_000, 40_000, 90, 65536),
            SiteTraffic("partial", 16, 6, 8, 1, 2001, 300, 90, 768),
            SiteTraffic("gone", 16, 6, 8, 1, 0, 0, 0, 768),
        ]
    )


def _unfold(window: CommandWindow) -> list[tuple[int, str, int, int]]:
    return [
        (window.start + run.cycle + i * run.pitch, run.kind, run.target, run.row)
        for run in window.runs
        for i in range(run.count)
    ]


def _log(stored, device) -> list[tuple[int, str, int, int]]:
    transactions = frame_transactions(frame_streams(stored, device, tables=False, pacing=None), device)
    log = simulate(device, transactions.requests, queue_depth=DEPTH, record_commands=True).commands
    assert log is not None
    columns = np.stack([log.cycle, log.kind, log.target, log.row], axis=1).tolist()
    return [(cycle, NAMES[kind], target, row) for cycle, kind, target, row in columns]


def test_windows_are_every_sites_write_and_first_read(stored, device):
    windows = command_windows(stored, device, DEPTH, 50)
    assert [(window.site, window.kind) for window in windows] == [
        (name, kind) for name in ("large", "partial", "gone") for kind in (StreamKind.WRITE, StreamKind.READ)
    ]


def test_unlimited_windows_hold_the_log_but_for_later_readers(stored, device):
    windows = command_windows(stored, device, DEPTH, 1 << 30)
    shown = [command for window in windows for command in _unfold(window)]
    log = _log(stored, device)
    second_read = range(windows[1].start + windows[1].cycles, windows[2].start)
    assert shown == [command for command in log if command[0] not in second_read]
    assert any(command[0] in second_read for command in log)
    assert all(window.shown == window.commands for window in windows)
    assert windows[0].start == 0 and windows[0].start + windows[0].cycles == windows[1].start


def test_a_window_ends_at_its_limit(stored, device):
    whole, short = (command_windows(stored, device, DEPTH, limit)[1] for limit in (1 << 30, 50))
    assert short.shown == 50 and short.commands == whole.commands
    assert _unfold(short) == _unfold(whole)[:50]
    assert short.cycles == _unfold(short)[-1][0] - short.start + device.burst_cycles
    assert short.cycles < whole.cycles


def test_a_site_without_a_byte_has_empty_windows(stored, device):
    for window in command_windows(stored, device, DEPTH, 50)[4:]:
        assert (window.commands, window.shown, window.cycles, window.runs) == (0, 0, 0, ())


def test_runs_fold_a_stream(stored):
    window = command_windows(stored, load_device("DDR4-2400"), DEPTH, 50)[0]
    assert [run.kind for run in window.runs] == ["ACT", "WR"]


def test_columns_find_their_row_open(stored, device):
    """Replayed from the rows that are open at the start, every column command and PRE finds its bank open."""
    for window in command_windows(stored, device, DEPTH, 1 << 30):
        rows = dict(window.open_rows)
        for _, kind, target, row in _unfold(window):
            if kind == "ACT":
                assert target not in rows
                rows[target] = row
            elif kind == "PRE":
                rows.pop(target)
            elif kind != "REF":
                assert rows[target] == row


def test_windows_are_those_of_the_reported_frame(stored, device):
    sites = [SiteTraffic("large", 16, 64, 64, 2, 300_000, 40_000, 90, 65536)]
    result = simulate_traffic(sites, device).codec("actcodec")
    write, read = command_windows([site.stored for site in result.sites], device, DEPTH, 1 << 30)
    transactions = -(-40_000 // device.transaction_bytes)
    for window, kind in ((write, "WR"), (read, "RD")):
        assert sum(run.count for run in window.runs if run.kind == kind) == transactions
    # Two readers: the frame ends after another read.
    assert write.cycles + read.cycles < result.memory_limited.resident.cycles
