"""Tables as a C header: constant arrays and the geometry of every site, for firmware, drivers and C models.

C99 and C++; nothing but ``<stdint.h>`` and ``<stddef.h>`` is needed. What the numbers mean is format v1
(docs/format.md); ``examples/c/codec.c`` is a codec that runs on it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from actcodec.files import write_text
from actcodec.params import CodecParams
from actcodec.tables import SiteTable, Tables, digest_of

NAME = "actcodec_tables.h"
_A_LINE = 24
_C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t", "uint16": "uint16_t", "int64": "int64_t"}

_TYPES = """\
enum actcodec_transform { ACTCODEC_PROJECT, ACTCODEC_IDENTITY, ACTCODEC_BYPASS, ACTCODEC_FOLDED };

/* Half-open ranges: the channels of a block and the coefficients that are computed from them. */
typedef struct {
    uint32_t channel_begin, channel_end, coefficient_begin, coefficient_end;
} actcodec_block;

/* A region of the stream in which every position has the same blocks. Bit of position (y, x):
   base_bits + y * pitch_bits + x * position_bits, least significant bit of byte 0 first. */
typedef struct {
    uint32_t block_begin, block_end;
    uint64_t base_bits, pitch_bits, position_bits;
} actcodec_plane;

/* Row k of P and row c of R have ACTCODEC_BLOCK entries; those beyond the block are 0. Arrays of coefficients are
   NULL where there is none; acc_range, the least and greatest sum of each, is NULL but for folded sites. */
typedef struct {
    const char *name;
    enum actcodec_transform transform;
    uint32_t channels, height, width, coefficients, block_count, plane_count, readers;
    uint64_t payload_bits, stream_bytes;
    double scale;                       /* real value of a step: scale * (x - zero) */
    uint8_t zero, low, high, output_shift;
    const actcodec_block *blocks;
    const actcodec_plane *planes;
    const int8_t *P;                    /* coefficients x ACTCODEC_BLOCK */
    const int8_t *R;                    /* channels x ACTCODEC_BLOCK */
    const int32_t *bias;                /* coefficients */
    const uint8_t *shift;               /* coefficients */
    const uint8_t *bits;                /* coefficients: width of a code, 0 is not stored */
    const uint8_t *left_shift;          /* coefficients */
    const int32_t *bias_out;            /* channels */
    const uint16_t *channel_order;      /* channels: the network's channel stored at each place */
    const int64_t *acc_range;           /* coefficients x 2 */
} actcodec_site;
"""


def write_c_header(directory: Path, tables: Tables) -> tuple[Path, ...]:
    """Write ``actcodec_tables.h`` into ``directory`` and return its path.

    ``ACTCODEC_SITE_NAME`` is the place of a site in ``actcodec_sites``; characters that C does not take are ``_``.
    """
    path = directory / NAME
    directory.mkdir(parents=True, exist_ok=True)
    write_text(path, c_header(tables))
    return (path,)


def c_header(tables: Tables) -> str:
    """Return the header's text."""
    source = tables.provenance
    lines = [
        f"/* Tables of actcodec, format v1: {_comment(source.network)} on {_comment(source.dataset)}, "
        f"{tables.bpv_stream:.3f} bits a value. */",
        "#ifndef ACTCODEC_TABLES_H",
        "#define ACTCODEC_TABLES_H",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        f'#define ACTCODEC_DIGEST "{digest_of(tables)}"',
        f"#define ACTCODEC_SITE_COUNT {len(tables.sites)}",
        *_parameters(tables.params),
        *(f"#define {macro} {number}" for number, macro in enumerate(_macros(tables.sites))),
        "",
        _TYPES,
    ]
    for number, site in enumerate(tables.sites):
        lines += _arrays(number, site)
    lines += [f"static const actcodec_site actcodec_sites[{len(tables.sites)}] = {{"]
    for number, site in enumerate(tables.sites):
        lines.append("    {" + ", ".join(_fields(number, site)) + "},")
    return "\n".join([*lines, "};", "", "#endif", ""])


def _parameters(params: CodecParams) -> list[str]:
    names = ("block", "lanes", "rows", "word_bits", "acc_bits")
    return [f"#define ACTCODEC_{name.upper()} {getattr(params, name)}" for name in names]


def _macros(sites: tuple[SiteTable, ...]) -> list[str]:
    """A macro a site; names that C makes the same are told apart by their number."""
    found: list[str] = []
    for number, site in enumerate(sites):
        macro = "ACTCODEC_SITE_" + re.sub(r"\W", "_", site.info.name, flags=re.ASCII).upper()
        found.append(f"{macro}_{number}" if macro in (*found, "ACTCODEC_SITE_COUNT") else macro)
    return found


def _arrays(number: int, site: SiteTable) -> list[str]:
    blocks = [(*block.channels, *block.coefficients) for block in site.info.blocks]
    planes = [(p.first_block, p.last_block, p.base_bits, p.pitch_bits, p.position_bits) for p in site.planes]
    lines = [f"/* {_comment(site.info.name)} */"]
    for name, kind, rows in (("blocks", "actcodec_block", blocks), ("planes", "actcodec_plane", planes)):
        body = ", ".join("{" + ", ".join(map(str, row)) + "}" for row in rows)
        lines.append(f"static const {kind} actcodec_{name}_{number}[{len(rows)}] = {{{body}}};")
    for name, array in site.arrays.items():
        if name != "group" and array.size:
            lines += _array(_symbol(name, number), array)
    return [*lines, ""]


def _array(symbol: str, array: NDArray[Any]) -> list[str]:
    values = [str(value) for value in array.reshape(-1).tolist()]
    rows = [", ".join(values[start : start + _A_LINE]) for start in range(0, len(values), _A_LINE)]
    return [
        f"static const {_C_TYPES[array.dtype.name]} {symbol}[{array.size}] = {{",
        *(f"    {row}," for row in rows),
        "};",
    ]


def _symbol(name: str, number: int) -> str:
    return f"actcodec_{'bits' if name == 'width' else name}_{number}"


def _fields(number: int, site: SiteTable) -> list[str]:
    info, sizes = site.info, site.sizes(1)
    arrays = {name: array.size for name, array in site.arrays.items()}
    pointers = ("P", "R", "bias", "shift", "width", "left_shift", "bias_out", "channel_order", "acc_range")
    return [
        '"' + _comment(info.name).replace("\\", "\\\\").replace('"', '\\"') + '"',
        f"ACTCODEC_{info.transform.upper()}",
        *map(str, (info.channels, info.height, info.width, site.coefficients, len(info.blocks), len(site.planes))),
        *map(str, (info.readers, sizes.payload_bits, sizes.stream_bytes)),
        repr(info.scale),
        *map(str, (info.zero, info.low, info.high, info.output_shift)),
        f"actcodec_blocks_{number}",
        f"actcodec_planes_{number}",
        *(_symbol(name, number) if arrays.get(name) else "NULL" for name in pointers),
    ]


def _comment(text: str) -> str:
    """``text`` without what would end a comment, a line or a string of ASCII."""
    return re.sub(r"[^ -~]", "_", text).replace("*/", "*_")
