"""What software sees of one direction: jobs, counters, errors and interrupts behind its registers."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from actcodec.params import CodecParams
from actcodec_rtl.axi.bank import register_ports
from actcodec_rtl.axi.job_queue import JobQueue
from actcodec_rtl.axi.table_router import table_events_layout
from actcodec_rtl.component import Block
from actcodec_rtl.counters import counters_layout
from actcodec_rtl.layouts import errors_layout, job_layout
from actcodec_rtl.registers.codec_map import JOB_QUEUE_DEPTH
from actcodec_rtl.registers.model import RegisterGroup


class DirectionControl(Block):
    """Queues the jobs that software starts and hands them to encoder or decoder while ``enable`` is 1.

    A job whose registers hold numbers that no build of these parameters could take is refused: *bad_site* for site and
    bank, *bad_window* for the rest. All other checks are those of the direction itself.

    Ports: those of the registers of ``group`` as their bank has them, turned around; ``enable``; ``job``, stream of
    `job_layout`; ``core_errors``, ``done``, ``busy``, ``counters`` and ``clear`` as of the direction; ``tables``,
    events of its table images (`table_events_layout`); ``keep_error``, strobe; ``irq``, a level.
    """

    def __init__(self, params: CodecParams, group: RegisterGroup) -> None:
        self._params, self._group = params, group
        members: dict[str, wiring.Member] = {}
        for register in group.registers:
            members |= {name: port.flip() for name, port in register_ports(register, register.name).items()}
        super().__init__(
            members
            | {
                "enable": In(1),
                "job": Out(stream.Signature(job_layout(params))),
                "core_errors": In(errors_layout()),
                "done": In(1),
                "busy": In(1),
                "counters": In(counters_layout()),
                "clear": Out(1),
                "tables": In(table_events_layout()),
                "keep_error": In(1),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._jobs(m)
        self._events(m)
        self._counters(m)
        return m

    def _jobs(self, m: Module) -> None:
        p = self._params
        m.submodules.queue = queue = JobQueue(job_layout(p), JOB_QUEUE_DEPTH)
        job = queue.i.payload
        wanted = {
            "site": self.job_site.site,
            "bank": self.job_site.bank,
            "window": self.job_site.window,
            "plane": self.job_window.plane,
            "offset": self.job_window.offset,
            "count": self.job_count.value,
            "stride": self.job_stride.value,
            "rows": self.job_rows.value,
        }
        too_large: dict[str, Value] = {}
        for name, value in wanted.items():
            field = getattr(job, name)
            m.d.comb += field.eq(value)
            too_large[name] = value[len(Value.cast(field)) :].any()
        bad_site, bad_window = Signal(), Signal()
        push = self.start.push
        m.d.comb += [
            bad_site.eq(too_large["site"] | (self.job_site.bank >= p.banks)),
            bad_window.eq(
                self.job_site.window
                & Cat(too_large[name] for name in ("plane", "offset", "count", "stride", "rows")).any()
            ),
            queue.i.valid.eq(push & ~bad_site & ~bad_window),
            self.errors_set.bad_site.eq((push & bad_site) | self.core_errors.bad_site),
            self.errors_set.bad_window.eq((push & ~bad_site & bad_window) | self.core_errors.bad_window),
            self.errors_set.job_overrun.eq(queue.i.valid & ~queue.i.ready),
            self.status.queue_full.eq(~queue.i.ready),
            self.status.queue_level.eq(queue.level),
            self.job.valid.eq(queue.o.valid & self.enable),
            self.job.payload.eq(queue.o.payload),
            queue.o.ready.eq(self.job.ready & self.enable),
        ]

    def _events(self, m: Module) -> None:
        done_count = Signal(len(Value.cast(self.status.done_count)))
        m.d.sync += done_count.eq(done_count + self.done)
        m.d.sync += [
            self.table_words.value.eq(self.table_words.value + self.tables.word),
            self.table_loads.value.eq(self.table_loads.value + self.tables.loaded),
        ]
        m.d.comb += [
            self.errors_set.early_last.eq(self.core_errors.early_last),
            self.errors_set.late_last.eq(self.core_errors.late_last),
            self.errors_set.bad_table.eq(self.core_errors.bad_table | self.tables.bad),
            self.errors_set.keep.eq(self.core_errors.keep | self.tables.keep | self.keep_error),
            self.irq_status_set.done.eq(self.done),
            self.irq_status_set.error.eq(Value.cast(self.errors_set).any()),
            self.irq_status_set.table.eq(self.tables.loaded),
            self.irq.eq((Value.cast(self.irq_status) & Value.cast(self.irq_enable)).any()),
            self.status.busy.eq(self.busy),
            self.status.loading.eq(self.tables.loading),
            self.status.table_bank.eq(self.tables.bank),
            self.status.done_count.eq(done_count),
        ]

    def _counters(self, m: Module) -> None:
        frames = Signal(len(Value.cast(self.frames)))
        clear, snapshot = self.counter_control.clear, self.counter_control.snapshot
        m.d.comb += self.clear.eq(clear)
        with m.If(clear):
            m.d.sync += frames.eq(self.done)
        with m.Elif(self.done):
            m.d.sync += frames.eq(frames + 1)
        now = self.counters
        half = len(Value.cast(self.payload_low))
        values: dict[str, Any] = {
            "beats": now.beats,
            "words": now.words,
            "payload_low": now.payload_bits[:half],
            "payload_high": now.payload_bits[half:],
            "input_stalls": now.input_stalls,
            "output_stalls": now.output_stalls,
            "frames": frames,
        }
        with m.If(snapshot):
            m.d.sync += [getattr(self, name).value.eq(value) for name, value in values.items()]
