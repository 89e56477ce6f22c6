"""Independent check of a command log against the device's JEDEC timing.

It shares nothing with the controller but the device description: it replays the log command by command, with
the rules as the standard states them (from … to …, at least so many cycles apart), and the data bus as
intervals.
"""

from __future__ import annotations

from collections import defaultdict, deque

from actcodec_sim.dram.commands import NAMES, CommandLog
from actcodec_sim.dram.device import DramDevice

_LONG_AGO = -(1 << 40)


class _Replay:
    """The log so far: last cycle of every command in every scope, open rows, last burst on the data bus."""

    def __init__(self, device: DramDevice) -> None:
        self.device = device
        self.last: defaultdict[tuple[object, ...], int] = defaultdict(lambda: _LONG_AGO)
        self.open: dict[int, int] = {}
        self.activates: defaultdict[int, deque[int]] = defaultdict(lambda: deque(maxlen=4))
        self.bus_free = _LONG_AGO
        self.bus_owner: tuple[int, str] | None = None
        self.cycle = _LONG_AGO
        self.found: list[str] = []

    def fail(self, rule: str) -> None:
        self.found.append(f"cycle {self.cycle}: {rule}")

    def at_least(self, rule: str, since: int, distance: int) -> None:
        if self.cycle - since < distance:
            self.fail(f"{rule} = {distance}, but {self.cycle - since} cycles apart")

    def scopes(self, bank: int) -> tuple[int, int]:
        """The bank's group and rank."""
        group = bank // self.device.organization.banks_per_group
        return group, group // self.device.organization.bank_groups

    def activate(self, bank: int, row: int) -> None:
        t = self.device.timing
        group, rank = self.scopes(bank)
        if bank in self.open:
            self.fail(f"ACT to bank {bank} with an open row")
        self.at_least("tRC", self.last["ACT", "bank", bank], t.tRC)
        self.at_least("tRP", self.last["PRE", "bank", bank], t.tRP)
        self.at_least("tRFC", self.last["REF", "rank", rank], t.tRFC)
        self.at_least("tRRD_L", self.last["ACT", "group", group], t.tRRD_L)
        self.at_least("tRRD_S", self.last["ACT", "rank", rank], t.tRRD_S)
        if len(self.activates[rank]) == 4:
            self.at_least("tFAW", self.activates[rank][0], t.tFAW)
        self.activates[rank].append(self.cycle)
        self.open[bank] = row
        self.note("ACT", bank)

    def precharge(self, bank: int) -> None:
        t, burst = self.device.timing, self.device.burst_cycles
        _, rank = self.scopes(bank)
        self.at_least("tRAS", self.last["ACT", "bank", bank], t.tRAS)
        self.at_least("tRTP", self.last["RD", "bank", bank], t.tRTP)
        self.at_least("CWL + burst + tWR", self.last["WR", "bank", bank], t.CWL + burst + t.tWR)
        self.at_least("tPPD", self.last["PRE command", "rank", rank], t.tPPD)
        if self.open.pop(bank, None) is None:
            self.fail(f"PRE to bank {bank} without an open row")
        self.last["PRE command", "rank", rank] = self.cycle
        self.closes(bank, self.cycle)

    def precharge_itself(self, bank: int) -> None:
        """The auto-precharge after the bank's last column command: as soon as a PRE were legal."""
        t, burst = self.device.timing, self.device.burst_cycles
        self.open.pop(bank, None)
        ends = (
            self.last["ACT", "bank", bank] + t.tRAS,
            self.last["RD", "bank", bank] + t.tRTP,
            self.last["WR", "bank", bank] + t.CWL + burst + t.tWR,
        )
        self.closes(bank, max(ends))

    def closes(self, bank: int, cycle: int) -> None:
        _, rank = self.scopes(bank)
        self.last["PRE", "bank", bank] = cycle
        self.last["PRE", "rank", rank] = max(self.last["PRE", "rank", rank], cycle)

    def refresh(self, rank: int) -> None:
        t = self.device.timing
        if any(self.scopes(bank)[1] == rank for bank in self.open):
            self.fail(f"REF to rank {rank} with an open row")
        self.at_least("tRP", self.last["PRE", "rank", rank], t.tRP)
        self.at_least("tRFC", self.last["REF", "rank", rank], t.tRFC)
        previous = max(self.last["REF", "rank", rank], 0)
        # A refresh that is due waits for the rank's rows to close, one by one; it comes at most so much late.
        org = self.device.organization
        closing = org.bank_groups * org.banks_per_group * t.tPPD
        slack = t.tRAS + t.CWL + self.device.burst_cycles + t.tWR + t.tRP + org.ranks + closing
        if self.cycle - previous > t.tREFI + slack:
            self.fail(f"tREFI = {t.tREFI}, but {self.cycle - previous} cycles since the last REF of rank {rank}")
        self.last["REF", "rank", rank] = self.cycle

    def column(self, bank: int, row: int, name: str) -> None:
        t, burst = self.device.timing, self.device.burst_cycles
        group, rank = self.scopes(bank)
        if self.open.get(bank) != row:
            self.fail(f"{name} of row {row} in bank {bank}, where row {self.open.get(bank)} is open")
        self.at_least("tRCD", self.last["ACT", "bank", bank], t.tRCD)
        for earlier in ("RD", "WR"):
            self.at_least("tCCD_L", self.last[earlier, "group", group], t.tCCD_L)
            self.at_least("tCCD_S", self.last[earlier, "rank", rank], t.tCCD_S)
        if name == "RD":
            write_end = t.CWL + burst
            self.at_least("tWTR_L", self.last["WR", "group", group] + write_end, t.tWTR_L)
            self.at_least("tWTR_S", self.last["WR", "rank", rank] + write_end, t.tWTR_S)
        self.take_bus(rank, name)
        self.note(name, bank)

    def take_bus(self, rank: int, name: str) -> None:
        """Put the burst on the data bus: tRTRS idle where another device drives it, or a write follows a read.

        The controller drives it for all writes.
        """
        t = self.device.timing
        start = self.cycle + (t.CL if name == "RD" else t.CWL)
        gap = 0
        if self.bus_owner is not None:
            last_rank, last_name = self.bus_owner
            if (last_rank != rank and (last_name, name) != ("WR", "WR")) or (last_name, name) == ("RD", "WR"):
                gap = t.tRTRS
        if start < self.bus_free + gap:
            self.fail(f"{name} data at {start}, but the data bus is taken until {self.bus_free + gap}")
        self.bus_free = start + self.device.burst_cycles
        self.bus_owner = rank, name

    def note(self, name: str, bank: int) -> None:
        group, rank = self.scopes(bank)
        self.last[name, "bank", bank] = self.last[name, "group", group] = self.last[name, "rank", rank] = self.cycle


def violations(device: DramDevice, log: CommandLog) -> list[str]:
    """Every rule that ``log`` breaks on ``device``, one line each; empty where it is legal.

    Each channel is replayed by itself.
    """
    ranks = device.organization.ranks
    banks = ranks * device.organization.bank_groups * device.organization.banks_per_group
    replays = [_Replay(device) for _ in range(device.organization.channels)]
    for cycle, kind, target, row in zip(
        log.cycle.tolist(), log.kind.tolist(), log.target.tolist(), log.row.tolist(), strict=True
    ):
        name = NAMES[kind]
        replay = replays[target // (ranks if name == "REF" else banks)]
        if cycle <= replay.cycle:
            replay.fail(f"command at cycle {cycle}: one command a cycle, in order")
        replay.cycle = cycle
        if name == "ACT":
            replay.activate(target, row)
        elif name == "PRE":
            replay.precharge(target)
        elif name == "REF":
            replay.refresh(target)
        else:
            replay.column(target, row, name[:2])
            if name.endswith("A"):
                replay.precharge_itself(target)
    return [line for replay in replays for line in replay.found]
