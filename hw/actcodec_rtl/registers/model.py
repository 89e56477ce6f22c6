"""What a register map consists of: groups of registers of fields, checked where they are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

REGISTER_BITS = 32
REGISTER_BYTES = REGISTER_BITS // 8
ADDRESS_BITS = 12

Access = Literal["ro", "rw", "w1c", "wo"]
"""ro: the hardware's value. rw: what software wrote. w1c: set by hardware, cleared by writing 1. wo: a pulse, reads 0.
"""


@dataclass(frozen=True)
class Field:
    """``bits`` bits from bit ``offset`` on; ``reset`` is the value of a fixed field, or the one after reset."""

    name: str
    offset: int
    bits: int
    description: str
    reset: int = 0

    @property
    def mask(self) -> int:
        """Ones in the field's place in the register."""
        return ((1 << self.bits) - 1) << self.offset


@dataclass(frozen=True)
class Register:
    """One 32-bit register at byte ``offset`` of its group; all its fields have the same access.

    ``fixed``: a read-only register that always reads its reset value. Raises ValueError where fields overlap, leave
    the register, or have a reset value that does not fit.
    """

    name: str
    offset: int
    access: Access
    description: str
    fields: tuple[Field, ...]
    fixed: bool = False

    def __post_init__(self) -> None:
        if self.access not in get_args(Access):
            raise ValueError(f"register {self.name}: access = {self.access!r}")
        if self.fixed and self.access != "ro":
            raise ValueError(f"register {self.name}: fixed, but access = {self.access!r}")
        if self.offset % REGISTER_BYTES or self.offset < 0:
            raise ValueError(f"register {self.name}: offset = {self.offset:#x} is not that of a word")
        if not self.fields or len({field.name for field in self.fields}) != len(self.fields):
            raise ValueError(f"register {self.name}: needs fields with names of their own")
        end = 0
        for field in self.fields:
            if not field.name.isidentifier():
                raise ValueError(f"register {self.name}: field name {field.name!r}")
            if field.bits < 1 or field.offset < end or field.offset + field.bits > REGISTER_BITS:
                raise ValueError(f"register {self.name}.{field.name}: bits {field.offset}…{field.offset + field.bits}")
            if not 0 <= field.reset < 1 << field.bits:
                raise ValueError(f"register {self.name}.{field.name}: reset = {field.reset:#x} in {field.bits} bits")
            end = field.offset + field.bits

    @property
    def reset(self) -> int:
        """The whole register after reset."""
        return sum(field.reset << field.offset for field in self.fields)


@dataclass(frozen=True)
class RegisterGroup:
    """Registers that exist once for every entry of ``bases``: name of the instance and its first address."""

    name: str
    description: str
    bases: tuple[tuple[str, int], ...]
    registers: tuple[Register, ...]


@dataclass(frozen=True)
class Place:
    """A register at its address."""

    path: str
    """Name in the whole map: of its group's instance, then its own; that of a group without instance name alone."""
    address: int
    register: Register


@dataclass(frozen=True)
class RegisterMap:
    """All groups. Raises ValueError where two registers share a name or an address, or one is beyond 12 bits."""

    groups: tuple[RegisterGroup, ...]

    def __post_init__(self) -> None:
        places = sorted(self.places(), key=lambda place: place.address)
        if len({place.path for place in places}) != len(places):
            raise ValueError("two registers have the same name")
        for before, after in pairwise(places):
            if before.address == after.address:
                raise ValueError(f"{before.path} and {after.path} are both at {after.address:#x}")
        for place in places:
            if place.address >= 1 << ADDRESS_BITS:
                raise ValueError(f"{place.path} is at {place.address:#x}, beyond {ADDRESS_BITS} address bits")

    def places(self) -> Iterator[Place]:
        """Every register of every instance, group by group."""
        for group in self.groups:
            for instance, base in group.bases:
                for register in group.registers:
                    path = f"{instance}_{register.name}" if instance else register.name
                    yield Place(path, base + register.offset, register)

    def address(self, path: str) -> int:
        """Address of a register by its name in the whole map."""
        return next(place.address for place in self.places() if place.path == path)

    def as_json(self) -> list[dict[str, Any]]:
        """Every register with address, access, reset value and fields as JSON values."""
        return [
            {
                "name": place.path,
                "address": place.address,
                "access": place.register.access,
                "reset": place.register.reset,
                "description": place.register.description,
                "fields": [
                    {
                        "name": field.name,
                        "offset": field.offset,
                        "bits": field.bits,
                        "reset": field.reset,
                        "description": field.description,
                    }
                    for field in place.register.fields
                ],
            }
            for place in self.places()
        ]
