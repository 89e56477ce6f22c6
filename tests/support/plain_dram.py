"""A memory controller of one channel written for reading: every cycle, every rule, no shortcut.

It follows the scheduling of DRAMsim3 step by step (docs/traffic.md) and shares with the compiled controller the address
split and the distances between commands alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from actcodec_sim.dram import DramDevice, Requests
from actcodec_sim.dram.address import locate
from actcodec_sim.dram.timing import CommandTiming, command_timing

QUEUE, BANK_QUEUE, DRAIN_ABOVE, ROW_HITS = 32, 8, 8, 4


@dataclass
class Bank:
    rank: int
    group: int
    row: int | None = None
    hits: int = 0
    queue: list[int] = field(default_factory=list)
    ready: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("ACT", "PRE", "RD", "WR", "REF"), 0))

    def wait(self, name: str, cycle: int) -> None:
        self.ready[name] = max(self.ready[name], cycle)


class PlainController:
    """``run`` fills ``taken`` and ``done``, by request, and ``log``: cycle, command, bank (REF: rank)."""

    def __init__(self, device: DramDevice, requests: Requests) -> None:
        self.t: CommandTiming = command_timing(device)
        where = locate(device, requests.address)
        self.address, self.write = requests.address.tolist(), requests.is_write.tolist()
        self.bank_of, self.row_of = where.bank.tolist(), where.row.tolist()
        self.earliest = requests.earliest.tolist()
        groups, size = self.t.ranks * self.t.groups_per_rank, self.t.banks_per_group
        self.banks = [Bank(g // self.t.groups_per_rank, g) for g in range(groups) for _ in range(size)]
        self.activates: list[list[int]] = [[] for _ in range(self.t.ranks)]
        self.waiting: dict[bool, list[int]] = {False: [], True: []}
        self.pending: dict[bool, dict[int, int]] = {False: {}, True: {}}
        self.merged: dict[int, int] = {}
        self.draining = self.turn = 0
        self.refreshes: list[int] = []
        self.taken, self.done = [0] * len(requests), [-1] * len(requests)
        self.log: list[tuple[int, str, int]] = []

    def run(self) -> None:
        now = refreshes = tail = 0
        while tail < len(self.address) or self.pending[False] or self.pending[True]:
            if now == (refreshes + 1) * self.t.refresh_spacing:
                self.refreshes.append(refreshes % self.t.ranks)
                refreshes += 1
            command = self.refresh_command(now) or self.request_command(now)
            if command:
                self.issue(now, *command)
            self.move(last=tail == len(self.address))
            if tail < len(self.address) and self.earliest[tail] <= now:
                tail += self.take(tail, now)
            now += 1
        for request, earlier in self.merged.items():
            self.done[request] = self.done[earlier]

    def legal(self, name: str, bank: Bank, now: int) -> bool:
        recent = self.activates[bank.rank][-4:]
        window = len(recent) < 4 or now >= recent[0] + self.t.four_activates
        return now >= bank.ready[name] and (name != "ACT" or window)

    def refresh_command(self, now: int) -> tuple[str, int, int] | None:
        if not self.refreshes:
            return None
        members = [(i, bank) for i, bank in enumerate(self.banks) if bank.rank == self.refreshes[0]]
        for i, bank in members:
            if bank.row is not None and self.legal("PRE", bank, now):
                return "PRE", i, -1
        if all(bank.row is None and self.legal("REF", bank, now) for _, bank in members):
            return "REF", self.refreshes[0], -1
        return None

    def request_command(self, now: int) -> tuple[str, int, int] | None:
        for step in range(1, len(self.banks) + 1):
            index = (self.turn + step) % len(self.banks)
            bank = self.banks[index]
            if bank.rank in self.refreshes[:1]:
                continue
            for place, request in enumerate(bank.queue):
                name = "WR" if self.write[request] else "RD"
                if bank.row is None:
                    name = "ACT"
                elif bank.row != self.row_of[request]:
                    name = "PRE"
                if not self.legal(name, bank, now):
                    continue
                wanted = any(self.row_of[other] == bank.row for other in bank.queue)
                if name == "PRE" and (place > 0 or (wanted and bank.hits < ROW_HITS)):
                    continue
                self.turn = index
                return name, index, request
        return None

    def issue(self, now: int, name: str, index: int, request: int) -> None:
        t = self.t
        self.log.append((now, name, index))
        if name == "REF":
            for bank in self.banks:
                if bank.rank == index:
                    bank.wait("ACT", now + t.refresh_time)
                    bank.wait("REF", now + t.refresh_time)
            self.refreshes.pop(0)
            return
        bank = self.banks[index]
        others = [other for other in self.banks if other is not bank and other.rank == bank.rank]
        if name == "ACT":
            bank.row, bank.hits = self.row_of[request], 0
            self.activates[bank.rank].append(now)
            bank.wait("ACT", now + t.activate_to_activate)
            bank.wait("PRE", now + t.activate_to_precharge)
            bank.wait("RD", now + t.activate_to_column)
            bank.wait("WR", now + t.activate_to_column)
            for other in others:
                other.wait("ACT", now + (t.activate_near if other.group == bank.group else t.activate_far))
        elif name == "PRE":
            bank.row = None
            bank.wait("ACT", now + t.precharge_to_activate)
            bank.wait("REF", now + t.precharge_to_activate)
            for other in others:
                other.wait("PRE", now + t.precharge_to_precharge)
        else:
            self.column(now, bank, name == "WR", request)

    def column(self, now: int, bank: Bank, write: bool, request: int) -> None:
        t = self.t
        bank.hits += 1
        bank.queue.remove(request)
        del self.pending[write][self.address[request]]
        self.done[request] = now + t.burst + (t.write_latency if write else t.read_latency)
        bank.wait("PRE", now + (t.write_to_precharge if write else t.read_to_precharge))
        for other in self.banks:
            if other.rank != bank.rank:
                read_gap, write_gap = t.read_to_read_rank, t.read_to_write
                if write:
                    read_gap, write_gap = t.write_to_read_rank, t.write_to_write_rank
            else:
                near = other.group == bank.group
                same = t.column_near if near else t.column_far
                read_gap, write_gap = same, t.read_to_write
                if write:
                    read_gap, write_gap = t.write_to_read_near if near else t.write_to_read_far, same
            other.wait("RD", now + read_gap)
            other.wait("WR", now + write_gap)

    def move(self, last: bool) -> None:
        reads, writes = self.waiting[False], self.waiting[True]
        idle = not any(bank.queue for bank in self.banks)
        many = len(writes) > DRAIN_ABOVE or (last and not reads)
        if self.draining == 0 and (len(writes) == QUEUE or (idle and many)):
            self.draining = len(writes)
        kind = self.draining > 0
        request = self.first_movable(kind)
        if request is None:
            return
        if kind and self.address[request] in self.pending[False]:
            self.draining = 0
            blocking = self.pending[False][self.address[request]]
            request = self.first_movable(False)
            if len(writes) < QUEUE or blocking not in reads or request is None:
                return
            kind = False
        elif kind:
            self.draining -= 1
        self.waiting[kind].remove(request)
        self.banks[self.bank_of[request]].queue.append(request)

    def first_movable(self, kind: bool) -> int | None:
        for request in self.waiting[kind]:
            if len(self.banks[self.bank_of[request]].queue) < BANK_QUEUE:
                return request
        return None

    def take(self, request: int, now: int) -> bool:
        write, address = self.write[request], self.address[request]
        if len(self.waiting[write]) == QUEUE:
            return False
        self.taken[request] = now + 1
        if not write and address in self.pending[True]:
            self.done[request] = now + 2
        elif address in self.pending[write]:
            self.merged[request] = self.pending[write][address]
        else:
            self.pending[write][address] = request
            self.waiting[write].append(request)
        return True
