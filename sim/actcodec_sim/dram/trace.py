"""Request traces as text: one request a line, ``0xADDRESS READ|WRITE CYCLE``, plain or compressed with gzip.

That is DRAMsim3's format; Ramulator 2's load/store trace, ``LD|ST 0xADDRESS``, is written, too.
"""

from __future__ import annotations

import gzip
import zlib
from enum import StrEnum
from pathlib import Path

import numpy as np

from actcodec.errors import ActcodecError
from actcodec.files import read_bytes, write_text
from actcodec_sim.arrays import BoolArray, Int64Array
from actcodec_sim.dram.device import DramDevice
from actcodec_sim.dram.requests import Requests, single_phase

MAX_CYCLE = 10**12
"""Latest cycle of a request, about a quarter of an hour at 1 GHz: idle time is refreshed through, too."""
_KINDS = {"READ": False, "WRITE": True}


class TraceFormat(StrEnum):
    """Simulators whose traces can be written; one line is one request of a whole transaction.

    ``DRAMSIM3``    ``0xADDRESS READ|WRITE CYCLE``: its trace-driven front end; offered at CYCLE or later
    ``RAMULATOR2``  ``LD|ST 0xADDRESS``: its front end LoadStoreTrace, which offers one after the other
    """

    DRAMSIM3 = "dramsim3"
    RAMULATOR2 = "ramulator2"


def write_trace(path: Path, form: TraceFormat, address: Int64Array, is_write: BoolArray, cycle: Int64Array) -> None:
    """Write the requests as a trace for another simulator; ``cycle`` is the first at which each may be offered.

    Ramulator 2's format has no cycles. Raises ActcodecError where the file cannot be written.
    """
    rows = zip(address.tolist(), is_write.tolist(), cycle.tolist(), strict=True)
    if form is TraceFormat.DRAMSIM3:
        lines = [f"0x{where:X} {'WRITE' if write else 'READ'} {when}" for where, write, when in rows]
    else:
        lines = [f"{'ST' if write else 'LD'} 0x{where:X}" for where, write, _ in rows]
    write_text(path, "".join(f"{line}\n" for line in lines))


def read_trace(path: Path, device: DramDevice) -> Requests:
    """Requests of the trace at ``path``, for ``device``; a name that ends in ``.gz`` is a compressed one.

    The cycle is the first at which the request may be offered. Blank lines are passed over. Raises ActcodecError
    that names the file, the line and its text for anything that is not a request or not one of ``device``.
    """
    addresses: list[int] = []
    writes: list[bool] = []
    cycles: list[int] = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            address, is_write, cycle = _parsed(line, device)
        except ValueError as error:
            raise ActcodecError(path, f"line {number}: {line[:80]!r}: {error}") from error
        addresses.append(address)
        writes.append(is_write)
        cycles.append(cycle)
    return single_phase(np.array(addresses, np.int64), np.array(writes, np.bool_), np.array(cycles, np.int64))


def _text(path: Path) -> str:
    content = read_bytes(path)
    try:
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        return content.decode("ascii")
    except (OSError, EOFError, zlib.error) as error:
        raise ActcodecError(path, f"is not a gzip file: {error}") from error
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        line = content.splitlines()[number - 1][:80]
        raise ActcodecError(path, f"line {number}: {line!r}: is not ASCII text") from error


def _parsed(line: str, device: DramDevice) -> tuple[int, bool, int]:
    """Address, whether it is a write, and cycle of one line; ValueError says what is wrong."""
    fields = line.split()
    if len(fields) != 3 or fields[1] not in _KINDS or not fields[2].isdigit() or len(fields[2]) > 13:
        raise ValueError("is not '0xADDRESS READ|WRITE CYCLE'")
    if not fields[0].lower().startswith("0x"):
        raise ValueError("the address is not hexadecimal (0x...)")
    try:
        address, cycle = int(fields[0], 16), int(fields[2])
    except ValueError as error:
        raise ValueError("the address is not hexadecimal (0x...)") from error
    if address >= device.capacity_bytes:
        raise ValueError(f"the address is outside the {device.capacity_bytes} bytes of {device.name}")
    if address % device.transaction_bytes:
        raise ValueError(f"the address is not aligned to {device.name}'s {device.transaction_bytes}-byte transactions")
    if cycle > MAX_CYCLE:
        raise ValueError(f"the cycle is above {MAX_CYCLE}")
    return address, _KINDS[fields[1]], cycle
