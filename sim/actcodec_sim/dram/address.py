"""Physical address → (channel, rank, bank group, bank, row): the bit fields of a device's mapping string."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from actcodec.errors import ActcodecError
from actcodec_sim.arrays import Int64Array
from actcodec_sim.dram.device import DramDevice
from actcodec_sim.jit import compiled


@dataclass(frozen=True)
class Location:
    """Where each request goes; a bank's index is flat, so that a controller needs one lookup.

    ``bank`` = ((channel · ranks + rank) · bank groups + bank group) · banks of a group + bank; ``row``.
    """

    bank: Int64Array
    row: Int64Array


class _Field(NamedTuple):
    """Bits of an address: ``address >> shift & mask``, which counts ``weight`` in the flat bank index."""

    shift: int
    mask: int
    weight: int


def locate(device: DramDevice, addresses: Int64Array) -> Location:
    """Split byte ``addresses`` by the device's mapping.

    The lowest log2(transaction bytes) bits are the offset in a transaction; the column field counts
    transactions of a row (columns / burst_length). Raises ActcodecError for an address outside the device or
    not aligned to a transaction.
    """
    _check_addresses(device, addresses)
    fields = _fields(device)
    row = fields.pop("ro")
    parts = np.array(list(fields.values()), np.int64)
    bank, rows = _split(addresses, parts, row.shift, row.mask)
    return Location(bank=bank, row=rows)


def _fields(device: DramDevice) -> dict[str, _Field]:
    """The mapping's fields by name, without the column's."""
    org = device.organization
    counts = {
        "ro": org.rows,
        "ch": org.channels,
        "ra": org.ranks,
        "ba": org.banks_per_group,
        "bg": org.bank_groups,
        "co": org.columns // org.burst_length,
    }
    weights = {"ba": 1}
    for field, inner in (("bg", "ba"), ("ra", "bg"), ("ch", "ra")):
        weights[field] = weights[inner] * counts[inner]
    shift = device.transaction_bytes.bit_length() - 1
    fields: dict[str, _Field] = {}
    for start in range(len(org.mapping) - 2, -1, -2):
        name = org.mapping[start : start + 2]
        if name != "co":
            fields[name] = _Field(shift, counts[name] - 1, weights.get(name, 0))
        shift += counts[name].bit_length() - 1
    return fields


@compiled
def _split(addresses: Int64Array, parts: Int64Array, row_shift: int, row_mask: int) -> tuple[Int64Array, Int64Array]:
    """Flat bank and row of every address; ``parts`` are the other fields' shifts, masks and weights."""
    bank = np.empty(len(addresses), np.int64)
    row = np.empty(len(addresses), np.int64)
    for i in range(len(addresses)):
        address = addresses[i]
        index = 0
        for part in range(len(parts)):
            index += ((address >> parts[part, 0]) & parts[part, 1]) * parts[part, 2]
        bank[i] = index
        row[i] = (address >> row_shift) & row_mask
    return bank, row


@compiled
def _first_bad(addresses: Int64Array, capacity: int, transaction: int) -> int:
    """The index of the first address outside ``capacity`` or not aligned to ``transaction``, or −1."""
    for i in range(len(addresses)):
        address = addresses[i]
        if address < 0 or address >= capacity or address & (transaction - 1):
            return i
    return -1


def _check_addresses(device: DramDevice, addresses: Int64Array) -> None:
    bad = _first_bad(addresses, device.capacity_bytes, device.transaction_bytes)
    if bad < 0:
        return
    address = int(addresses[bad])
    if 0 <= address < device.capacity_bytes:
        problem = f"is not aligned to {device.transaction_bytes}-byte transactions"
    else:
        problem = f"is outside the device's {device.capacity_bytes} bytes"
    raise ActcodecError(device.name, f"address {address:#x} {problem}")
