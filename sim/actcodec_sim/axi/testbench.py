"""The cocotb tests that run inside the simulator: the shell's registers, frames, windows, banks, errors and resets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp, AxiStreamFrame
from numpy.typing import NDArray

from actcodec_sim.axi.cases import SiteCase, WindowCase, read_site, read_window
from actcodec_sim.axi.driver import INPUTS, OUTPUTS, TABLES, Shell, packet

LIMIT_MS = 20


async def open_shell(dut: Any, load: bool = True) -> Shell:
    """A shell out of reset, enabled, with the tables of all sites in bank 0."""
    shell = Shell(dut)
    await shell.start()
    await shell.enable()
    if load:
        await shell.load(np.load(shell.folder / "tables.npy"))
        for name in shell.directions:
            await shell.errors(name)
    return shell


def check(frame: AxiStreamFrame, expected: NDArray[np.uint8], valid: NDArray[np.bool_] | None, what: str) -> None:
    """Compare a packet with beats (N, bytes): TKEEP with ``valid`` (None: all), and the bytes that are kept."""
    got = np.frombuffer(bytes(frame.tdata), dtype=np.uint8).reshape(-1, expected.shape[1])
    keep = np.array(frame.tkeep, dtype=np.bool_).reshape(got.shape)
    assert len(got) == len(expected), f"{what}: {len(got)} beats, expected {len(expected)}"
    wanted = np.ones(expected.shape, dtype=np.bool_) if valid is None else valid
    wrong = np.flatnonzero((keep != wanted).any(axis=1) | ((got != expected) & wanted).any(axis=1))
    assert not wrong.size, (
        f"{what}: beat {wrong[0]}: got {got[wrong[0]]} keep {keep[wrong[0]]}, "
        f"expected {expected[wrong[0]]} keep {wanted[wrong[0]]}"
    )


def send(shell: Shell, direction: str, case: SiteCase) -> None:
    """Offer a whole frame's inputs."""
    inputs = packet(case.beats, case.given) if direction == "encoder" else packet(case.stream)
    shell.sources[INPUTS[direction]].send_nowait(inputs)


async def receive(shell: Shell, direction: str, case: SiteCase, what: str) -> None:
    """Take a whole frame's outputs and compare them."""
    frame = await shell.received(direction, what)
    if direction == "encoder":
        check(frame, case.stream, None, what)
    else:
        check(frame, case.decoded, case.valid, what)


async def run_frames(
    shell: Shell, direction: str, sites: Sequence[int], bank: int = 0, job_site: int | None = None
) -> None:
    """Frames of these sites through a direction, back to back; those that store nothing are left out.

    Jobs call them by their own numbers, or all by ``job_site``.
    """
    cases = {number: read_site(shell.folder, number) for number in set(sites)}
    sites = [number for number in sites if len(cases[number].stream)]
    for number in sites:
        send(shell, direction, cases[number])

    async def start() -> None:
        for number in sites:
            await shell.queue(direction, number if job_site is None else job_site, bank)

    starting = cocotb.start_soon(start())
    for number in sites:
        await receive(shell, direction, cases[number], f"{direction}, site {number}")
    await starting


async def run_all(shell: Shell, sites: Sequence[int], bank: int = 0) -> None:
    """The same frames through all directions at the same time."""
    tasks = [cocotb.start_soon(run_frames(shell, name, sites, bank)) for name in shell.directions]
    for task in tasks:
        await task


def smallest(shell: Shell) -> int:
    """The site of the job with the fewest words, but with at least one."""
    cases = {int(site["number"]): read_site(shell.folder, site["number"]) for site in shell.job["sites"]}
    return min((n for n, case in cases.items() if len(case.stream)), key=lambda n: len(cases[n].beats))


@cocotb.test(timeout_time=LIMIT_MS, timeout_unit="ms")
async def registers(dut: Any) -> None:
    """Identification and parameters as in registers.json, SLVERR, byte strobes, nothing pending after reset."""
    shell = Shell(dut)
    await shell.start()
    for name, entry in shell.registers.items():
        assert await shell.read_raw(name) == entry["reset"], name
    mapped = {entry["address"] for entry in shell.registers.values()}
    for address in (0x080, 0x0FC, 0x158, 0x280, 0xFFC):
        assert address not in mapped
        assert (await shell.lite.read(address, 4)).resp == AxiResp.SLVERR
        assert (await shell.lite.write(address, bytes(4))).resp == AxiResp.SLVERR
    for name, entry in shell.registers.items():
        if entry["access"] == "ro":
            assert (await shell.lite.write(shell.address(name), b"\xff" * 4)).resp == AxiResp.SLVERR, name
    count = f"{shell.directions[-1]}_job_count"
    await shell.write_raw(count, 0x11223344)
    await shell.lite.write(shell.address(count) + 1, b"\xaa\xbb")
    assert await shell.read_raw(count) == 0x11BBAA44
    assert not int(dut.irq.value)


@cocotb.test(timeout_time=LIMIT_MS, timeout_unit="ms")
async def frames(dut: Any) -> None:
    """All sites back to back through all directions under random pauses of all streams: words, counters, irq."""
    shell = Shell(dut)
    await shell.start()
    shell.pause(shell.job["pause"])
    for name in shell.directions:
        await shell.write(f"{name}_irq_enable", table=1)
    await shell.load(np.load(shell.folder / "tables.npy"))
    for name in shell.directions:
        assert int(dut.irq.value) and (await shell.read("irq_pending"))[name]
        assert await shell.read(f"{name}_irq_status") == {"done": 0, "error": 0, "table": 1}
        await shell.write(f"{name}_irq_status", table=1)
        await shell.write(f"{name}_irq_enable", done=1)
        assert await shell.read_raw(f"{name}_table_words") == shell.job["image_words"][name]
        assert await shell.read_raw(f"{name}_table_loads") == 1
        await shell.errors(name)
    await ClockCycles(dut.aclk, 2)
    assert not int(dut.irq.value)

    await shell.enable()
    sites = [site["number"] for site in shell.job["sites"]]
    sites += shell.rng.sample(sites, len(sites))
    await run_all(shell, sites)
    cases = [read_site(shell.folder, number) for number in sites]
    done = sum(len(case.stream) > 0 for case in cases)
    payload = {site["number"]: site["payload_bits"] for site in shell.job["sites"]}
    for name in shell.directions:
        await shell.finished(name, done)
        assert int(dut.irq.value) and (await shell.read(f"{name}_irq_status"))["done"]
        await shell.write_raw(f"{name}_irq_status", 7)
        await shell.errors(name)
        counters = await shell.counters(name, clear=True)
        assert counters["beats"] == sum(len(case.beats) for case in cases if len(case.stream))
        assert counters["words"] == sum(len(case.stream) for case in cases)
        assert counters["payload_bits"] == sum(payload[number] for number in sites)
        assert counters["frames"] == done
        assert counters["output_stalls"] == shell.watch.channels[OUTPUTS[name]].held
        assert counters["input_stalls"] > 0 or not shell.job["pause"]
        assert set((await shell.counters(name)).values()) == {0}
    await ClockCycles(dut.aclk, 2)
    assert not int(dut.irq.value)
    assert all(sink.empty() for sink in shell.sinks.values())


@cocotb.test(timeout_time=LIMIT_MS, timeout_unit="ms")
async def queue(dut: Any) -> None:
    """Four jobs wait while a direction is off, a fifth overruns; switched on, they run without another access."""
    shell = await open_shell(dut)
    await shell.write("control")
    number = smallest(shell)
    case = read_site(shell.folder, number)
    for name in shell.directions:
        for level in range(4):
            status = await shell.read(f"{name}_status")
            assert status["queue_level"] == level and not status["queue_full"] and not status["busy"]
            await shell.queue(name, number)
        assert (await shell.read(f"{name}_status"))["queue_full"]
        await shell.write(f"{name}_start", push=0)
        await shell.errors(name)
        await shell.write(f"{name}_start", push=1)
        await shell.errors(name, "job_overrun")
        assert (await shell.read(f"{name}_status"))["queue_level"] == 4
        for _ in range(4):
            send(shell, name, case)
    await ClockCycles(dut.aclk, 50)
    assert not any(shell.watch.channels[OUTPUTS[name]].moved for name in shell.directions)
    await shell.enable()
    for name in shell.directions:
        for turn in range(4):
            await receive(shell, name, case, f"{name}, job {turn}")
        await shell.finished(name, 4)
        await shell.errors(name)
    assert all(sink.empty() for sink in shell.sinks.values())


@cocotb.test(timeout_time=LIMIT_MS, timeout_unit="ms")
async def windows(dut: Any) -> None:
    """Tiles as their descriptors say: the words that a DMA fetches, the job's registers, the decoded beats."""
    shell = await open_shell(dut)
    # An encoder has stripes of whole rows instead, which are frames.
    if "decoder" not in shell.directions:
        return
    shell.pause(shell.job["pause"] / 2)
    cases: list[tuple[dict[str, int], WindowCase]] = [
        (descriptor, read_window(shell.folder, number))
        for number, descriptor in enumerate(shell.job["windows"])
        if descriptor["words"]
    ]
    for _, case in cases:
        shell.sources["s_axis_stream"].send_nowait(packet(case.words))

    async def start() -> None:
        for descriptor, _ in cases:
            await shell.queue("decoder", descriptor["site"], 0, descriptor)

    starting = cocotb.start_soon(start())
    for number, (descriptor, case) in enumerate(cases):
        frame = await shell.received("decoder", f"window {number}")
        check(frame, case.decoded, case.valid, f"window {number} {descriptor}")
    await starting
    await shell.finished("decoder", len(cases))
    await shell.errors("decoder")


@cocotb.test(timeout_time=LIMIT_MS, timeout_unit="ms")
async def banks(dut: Any) -> None:
    """Each site's tables are loaded to the bank that is free while the site before runs from the other."""
    shell = await open_shell(dut, load=False)
    shell.pause(shell.job["pause"])
    running: list[Any] = []
    for turn, site in enumerate(shell.job["sites"]):
        number, own = site["number"], site["number_in_bank"]
        bank = turn % shell.job["banks"]
        case = read_site(shell.folder, number)
        if shell.job["banks"] == 1:
            for task in running:
                await task
        await shell.load(case.bank_1 if bank else case.bank_0)
        for name in shell.directions:
            status = await shell.read(f"{name}_status")
            assert status["table_bank"] == bank and not status["loading"]
            assert await shell.read_raw(f"{name}_table_loads") == turn + 1
        for task in running:
            await task
        running = [cocotb.start_soon(run_frames(shell, name, [number] * 2, bank, own)) for name in shell.directions]
    for task in running:
        await task
    for name in shell.directions:
        await shell.errors(name)


async def clean_frame(shell: Shell, number: int) -> None:
    """A frame that has to be right, whatever was before, and no error."""
    await run_all(shell, [number])
    for name in shell.directions:
        await shell.errors(name)


@cocotb.test(timeout_time=LIMIT_MS, timeout_unit="ms")
async def table_errors(dut: Any) -> None:
    """Malformed table packets set their bits, are not counted as loaded, and leave the next one alone."""
    shell = await open_shell(dut)
    number = smallest(shell)
    tables = np.load(shell.folder / "tables.npy")
    # The image that comes first in the packet.
    first, *others = shell.directions
    words = shell.job["image_words"][first]
    loads = 1

    no_header = tables[: words + 1].copy()
    no_header[0, 0] ^= 1
    await shell.load(no_header)
    for name in shell.directions:
        await shell.errors(name, "bad_table")
    await clean_frame(shell, number)

    # The end is missing: these tables are not to be used until they are loaded again.
    await shell.load(tables[: words - 3])
    await shell.errors(first, "bad_table")
    for name in others:
        await shell.errors(name)
    await shell.load(tables)
    loads += 1
    await clean_frame(shell, number)

    hole = np.ones(tables.shape, dtype=np.bool_)
    hole[3, 2] = False
    shell.sources[TABLES].send_nowait(packet(tables, hole))
    await shell.drained(TABLES)
    await shell.errors(first, "bad_table", "keep")
    assert await shell.read_raw(f"{first}_table_loads") == loads
    for name in others:
        await shell.errors(name)
        assert await shell.read_raw(f"{name}_table_loads") == loads + 1
    await shell.load(tables)
    await clean_frame(shell, number)
    assert await shell.read_raw(f"{first}_table_loads") == loads + 1


@cocotb.test(timeout_time=LIMIT_MS, timeout_unit="ms")
async def input_errors(dut: Any) -> None:
    """TKEEP and TLAST at wrong places: flagged, the frame's output complete, the next frame right."""
    shell = await open_shell(dut)
    number = smallest(shell)
    case = read_site(shell.folder, number)
    (first, *_) = shell.directions
    await shell.write(f"{first}_irq_enable", error=1)

    async def frame(direction: str, inputs: AxiStreamFrame, exact: bool, *errors: str) -> None:
        shell.sources[INPUTS[direction]].send_nowait(inputs)
        await shell.queue(direction, number)
        if exact:
            await receive(shell, direction, case, f"{direction} with {errors}")
        else:
            got = await shell.received(direction, f"{direction} with {errors}")
            expected = case.stream if direction == "encoder" else case.decoded
            assert len(got.tdata) == expected.size
        await ClockCycles(dut.aclk, 8)
        await shell.errors(direction, *errors)
        await clean_frame(shell, number)

    part = np.ones(case.stream.shape, dtype=np.bool_)
    part[-1, -1] = False
    wrong = case.given.copy()
    wrong[0] = ~wrong[0] if not wrong[0].all() else np.arange(len(wrong[0])) < len(wrong[0]) - 1
    with_wrong_keep = {"encoder": packet(case.beats, wrong), "decoder": packet(case.stream, part)}
    await frame(first, with_wrong_keep[first], True, "keep")
    assert int(dut.irq.value)
    await shell.write_raw(f"{first}_irq_status", 7)
    await ClockCycles(dut.aclk, 2)
    assert not int(dut.irq.value)

    if "encoder" in shell.directions:
        if case.given.shape[1] > 2:
            hole = case.given.copy()
            hole[-1] = True
            hole[-1, 1] = False
            await frame("encoder", packet(case.beats, hole), True, "keep")
        more = np.concatenate([case.beats, case.beats[:2]])
        await frame("encoder", packet(more, np.concatenate([case.given, case.given[:2]])), True, "late_last")
        if len(case.beats) > 1:
            await frame("encoder", packet(case.beats[:-1], case.given[:-1]), False, "early_last")
    if "decoder" in shell.directions:
        await frame("decoder", with_wrong_keep["decoder"], True, "keep")
        await frame("decoder", packet(np.concatenate([case.stream, case.stream[:1]])), True, "late_last")
        if len(case.stream) > 1:
            await frame("decoder", packet(case.stream[:-1]), False, "early_last")


@cocotb.test(timeout_time=LIMIT_MS, timeout_unit="ms")
async def job_errors(dut: Any) -> None:
    """Jobs that no build could take, and those that the core refuses: flagged, nothing comes out."""
    shell = await open_shell(dut)
    number = smallest(shell)
    good = {"plane": 0, "offset": 0, "count": 1, "stride": 1, "rows": 1}
    for name in shell.directions:
        for site, bank in ((0xFFFF, 0), (number, 1)):
            await shell.queue(name, site, bank)
            await ClockCycles(dut.aclk, 8)
            await shell.errors(name, "bad_site")
        for change in ({"rows": 0}, {"rows": 1 << 31}, {"count": 1 << 20}, {"plane": 0xFFFF}):
            await shell.queue(name, number, 0, {**good, **change})
            await ClockCycles(dut.aclk, 8)
            await shell.errors(name, "bad_window")
        assert (await shell.read(f"{name}_irq_status"))["error"]
    for change in ({"count": 0}, {"stride": 0}) if "decoder" in shell.directions else ():
        await shell.queue("decoder", number, 0, {**good, **change})
        await ClockCycles(dut.aclk, 8)
        await shell.errors("decoder", "bad_window")
    await clean_frame(shell, number)
    assert all(sink.empty() for sink in shell.sinks.values())


@cocotb.test(timeout_time=LIMIT_MS, timeout_unit="ms")
async def soft_reset(dut: Any) -> None:
    """In the middle of frames and of a table image: all of it is dropped; loaded again, the next frames are right."""
    shell = await open_shell(dut)
    number = max((site["number"] for site in shell.job["sites"]), key=lambda n: len(read_site(shell.folder, n).beats))
    case = read_site(shell.folder, number)
    tables = np.load(shell.folder / "tables.npy")
    for sink in shell.sinks.values():
        sink.pause = True
    (first, *_) = shell.directions
    # No more than the input takes at once, so that nothing is offered any more when the reset comes.
    given = packet(case.beats[:2], case.given[:2]) if first == "encoder" else packet(case.stream[:2])
    shell.sources[INPUTS[first]].send_nowait(given)
    for name in shell.directions:
        await shell.queue(name, number)
        await shell.queue(name, number)
    await ClockCycles(dut.aclk, 40)
    shell.sources[TABLES].send_nowait(packet(tables[:20]))
    await ClockCycles(dut.aclk, 12)
    assert (await shell.read(f"{first}_status"))["busy"]
    await shell.sources[TABLES].wait()
    await shell.soft_reset()
    for name in shell.directions:
        status = await shell.read(f"{name}_status")
        assert not any(status.values()), status
        await shell.write_raw(f"{name}_errors", 0xFFFFFFFF)
        assert set((await shell.counters(name)).values()) == {0}
    for sink in shell.sinks.values():
        sink.pause = False
    await ClockCycles(dut.aclk, 40)
    for name, sink in shell.sinks.items():
        assert sink.empty() and not shell.watch.channels[name].moved
    # No table has been loaded since.
    for name in shell.directions:
        await shell.queue(name, number)
        await ClockCycles(dut.aclk, 8)
        await shell.errors(name, "bad_site")
    await shell.load(tables)
    await run_all(shell, [site["number"] for site in shell.job["sites"]][:2])
