"""Physical address → (rank, bank group, bank, row): the bit fields of a device's mapping string."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actcodec.errors import ActcodecError
from actcodec_sim.arrays import Int64Array
from actcodec_sim.dram.device import DramDevice


@dataclass(frozen=True)
class Location:
    """Where each request goes; the indices are flat so that a controller needs one lookup each.

    ``rank``; ``group`` = rank · bank_groups + bank group; ``bank`` = group · banks_per_group + bank; ``row``.
    """

    rank: Int64Array
    group: Int64Array
    bank: Int64Array
    row: Int64Array


def locate(device: DramDevice, addresses: Int64Array) -> Location:
    """Split byte ``addresses`` by the device's mapping.

    The lowest log2(transaction bytes) bits are the offset in a transaction; the column field counts
    transactions of a row (columns / burst_length). Raises ActcodecError for an address outside the channel or
    not aligned to a transaction.
    """
    _check_addresses(device, addresses)
    org = device.organization
    counts = {
        "ro": org.rows,
        "ch": 1,
        "ra": org.ranks,
        "ba": org.banks_per_group,
        "bg": org.bank_groups,
        "co": org.columns // org.burst_length,
    }
    remainder = addresses // device.transaction_bytes
    part: dict[str, Int64Array] = {}
    for start in range(len(org.mapping) - 2, -1, -2):
        field = org.mapping[start : start + 2]
        part[field] = remainder % counts[field]
        remainder = remainder // counts[field]
    group = part["ra"] * org.bank_groups + part["bg"]
    return Location(rank=part["ra"], group=group, bank=group * org.banks_per_group + part["ba"], row=part["ro"])


def _check_addresses(device: DramDevice, addresses: Int64Array) -> None:
    outside = (addresses < 0) | (addresses >= device.capacity_bytes)
    if outside.any():
        address = int(addresses[int(np.argmax(outside))])
        raise ActcodecError(device.name, f"address {address:#x} is outside the channel's {device.capacity_bytes} bytes")
    unaligned = addresses % device.transaction_bytes != 0
    if unaligned.any():
        address = int(addresses[int(np.argmax(unaligned))])
        raise ActcodecError(
            device.name,
            f"address {address:#x} is not aligned to {device.transaction_bytes}-byte transactions",
        )
