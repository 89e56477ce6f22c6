"""The register map as Markdown: docs/registers.md."""

from __future__ import annotations

from collections.abc import Iterator

from actcodec_rtl.registers.model import RegisterGroup, RegisterMap

_HEAD = """\
# Registers of the AXI shell

<!-- Written by `python -m actcodec_rtl.registers`; a test compares. -->

`actcodec_axi` has 32-bit registers on its AXI4-Lite port `s_axil`, in 4 KiB. They are described once, in
`actcodec_rtl.registers.codec_map`; the RTL, this page, `actcodec_regs.h` and `registers.json` come from there. How they
are used is in [axi.md](axi.md).

| access | meaning |
|---|---|
| ro | hardware's value; a write is answered with SLVERR and does nothing |
| rw | what software wrote |
| w1c | set by hardware, cleared by writing 1; a bit that is set in the cycle in which it is cleared stays set |
| wo | writing 1 does something once; reads 0 |

Reads and writes of any other address are answered with SLVERR. Byte strobes are honoured. Reserved bits read 0, and
writes to them do nothing. *build* is a value that differs from build to build: the parameters of [rtl.md](rtl.md).
Builds of one direction have the registers of that direction only.
"""


def _group(group: RegisterGroup) -> Iterator[str]:
    instances = [(name, base) for name, base in group.bases if name]
    yield f"\n## {group.description.rstrip('.')}\n"
    if instances:
        yield "Offsets from " + ", ".join(f"{name} 0x{base:03x}" for name, base in instances) + ".\n"
    yield "| offset | register | access | reset | bits | field | meaning |"
    yield "|---:|---|---|---|---:|---|---|"
    for register in group.registers:
        of_the_build = register.fixed and register.name not in ("id", "version")
        reset = "build" if of_the_build else f"0x{register.reset:08x}"
        for number, field in enumerate(register.fields):
            left = (
                f"| 0x{register.offset:03x} | {register.name.upper()} | {register.access} | {reset} |"
                if number == 0
                else "| | | | |"
            )
            top = field.offset + field.bits - 1
            bits = f"{top}:{field.offset}" if top > field.offset else str(top)
            yield f"{left} {bits} | `{field.name}` | {field.description} |"


def document(registers: RegisterMap) -> str:
    """The page: a table a group, registers in the order of their offsets."""
    return "\n".join([_HEAD.rstrip("\n"), *(line for group in registers.groups for line in _group(group))]) + "\n"
