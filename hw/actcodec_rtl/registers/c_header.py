"""The register map as a C header: C99 and C++, no dependency but <stdint.h>."""

from __future__ import annotations

from collections.abc import Iterator

from actcodec_rtl.registers.codec_map import ID
from actcodec_rtl.registers.model import Register, RegisterMap

C_HEADER = "actcodec_regs.h"

_HEAD = """\
/* Registers of the actcodec AXI shell. Written by `actcodec rtl`: do not edit.
 *
 * An address is the base of the block, plus that of the instance for registers that exist once a direction, plus the
 * offset: base + ACTCODEC_ENCODER + ACTCODEC_STATUS. GET takes a field out of a register's value, SET gives the
 * register's value with the field replaced.
 */
#ifndef ACTCODEC_REGS_H
#define ACTCODEC_REGS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
"""
_TAIL = """
#ifdef __cplusplus
}
#endif

#endif
"""


def _macros(register: Register) -> Iterator[str]:
    name = f"ACTCODEC_{register.name.upper()}"
    yield f"\n/* {register.description} ({register.access}) */"
    yield f"#define {name} UINT32_C(0x{register.offset:03x})"
    for field in register.fields:
        yield f"#define {name}_{field.name.upper()}_SHIFT {field.offset}"
        yield f"#define {name}_{field.name.upper()}_MASK UINT32_C(0x{field.mask:08x}) /* {field.description} */"


def _helpers(register: Register) -> Iterator[str]:
    for field in register.fields:
        function, macro = f"actcodec_{register.name}_{field.name}", f"ACTCODEC_{register.name}_{field.name}".upper()
        if register.access != "wo":
            yield (
                f"static inline uint32_t {function}_get(uint32_t value)\n"
                f"{{\n    return (value & {macro}_MASK) >> {macro}_SHIFT;\n}}\n"
            )
        if register.access != "ro":
            yield (
                f"static inline uint32_t {function}_set(uint32_t value, uint32_t field)\n"
                f"{{\n    return (value & ~{macro}_MASK) | ((field << {macro}_SHIFT) & {macro}_MASK);\n}}\n"
            )


def c_header(registers: RegisterMap) -> str:
    """Offsets, masks and shifts as macros, and a ``static inline`` function to get and to set every field."""
    lines = [_HEAD, f"#define ACTCODEC_ID_EXPECTED UINT32_C(0x{ID:08x})"]
    for group in registers.groups:
        lines.append(f"\n/* --- {group.description} */")
        lines += [f"#define ACTCODEC_{name.upper()} UINT32_C(0x{base:03x})" for name, base in group.bases if name]
        for register in group.registers:
            lines += _macros(register)
    lines.append("")
    lines += [text for group in registers.groups for register in group.registers for text in _helpers(register)]
    return "\n".join(lines).rstrip("\n") + "\n" + _TAIL
