"""What puts the codec into somebody's design: an instantiation template and a FuseSoC core file."""

from __future__ import annotations

from collections.abc import Sequence

from actcodec import __version__
from actcodec.params import CodecParams
from actcodec_rtl.ports import Port

CORE_FILE = "actcodec.core"
TEMPLATE_FILE = "actcodec_codec_inst.svh"
VENDOR, LIBRARY = "actcodec", "codec"


def instantiation_template(params: CodecParams, ports: Sequence[Port], top: str) -> str:
    """SystemVerilog to include, or to copy, where ``clk`` and ``rst`` are signals.

    It declares a signal for every port, of the port's name, with the bits of its payload's fields, localparams
    NAME_BITS for its width and NAME_FIELD_LSB, NAME_FIELD_BITS for the place of a field, instantiates ``top`` on them,
    and defines a macro ACTCODEC_HAS_ENCODER, ACTCODEC_HAS_DECODER for every direction of the build.
    """
    lines = [
        f"// Instance of {top}, generated: include or copy it where clk and rst are.",
        "// Every port has a signal of its name; every stream is valid/ready.",
        *(f"`define ACTCODEC_HAS_{direction.upper()}" for direction in params.directions),
        "",
    ]
    for port in ports:
        kind = "logic" if port.is_input else "wire "
        bits = len(port.value)
        constant = f"{port.name.upper()}_BITS"
        # A flag has no range, any other vector takes it from a constant: not every simulator knows $bits early enough.
        if bits > 1 or port.layout or port.name.endswith("_payload"):
            lines.append(f"localparam {constant} = {bits};")
            kind = f"{kind} [{constant}-1:0]"
        lines += [
            f"{kind} {port.name};",
            *(
                f"//     {_bits(f['offset'], f['bits'])} {f['name']}{', signed' if f['signed'] else ''}"
                for f in port.layout
            ),
            *(
                f"localparam {constant[: -len('BITS')]}{f['name'].upper()}_{kind} = {f[member]};"
                for f in port.layout
                # Elements of an array have a number, no name.
                if "." not in f["name"]
                for kind, member in (("LSB", "offset"), ("BITS", "bits"))
            ),
        ]
    names = ["clk", "rst", *(port.name for port in ports)]
    connections = [f"    .{name}({name})" for name in names]
    return "\n".join([*lines, "", f"{top} u_{top} (", ",\n".join(connections), ");", ""])


def _bits(offset: int, bits: int) -> str:
    return f"[{offset + bits - 1}:{offset}]" if bits > 1 else f"[{offset}]"


def fusesoc_core(sources: Sequence[str], waivers: str, top: str) -> str:
    """The core file (CAPI2) of the generated folder.

    Targets: ``default``, the sources for a design that depends on the core; ``lint``, Verilator's linter with the
    waived rules; ``sim``, the sources and the template compiled for Icarus Verilog.
    """
    kinds = {".v": "verilogSource", ".sv": "systemVerilogSource"}
    files = [f"      - {name}: {{file_type: {kinds[name[name.rindex('.') :]]}}}" for name in sources]
    return "\n".join(
        [
            "CAPI=2:",
            f"name: {VENDOR}:{LIBRARY}:{top}:{__version__}",
            "description: Codec of compressed activations, valid/ready streams, one clock",
            "",
            "filesets:",
            "  rtl:",
            "    files:",
            *files,
            f"      - {TEMPLATE_FILE}: {{file_type: systemVerilogSource, is_include_file: true}}",
            "  waivers:",
            "    files:",
            f"      - {waivers}: {{file_type: vlt}}",
            "",
            "targets:",
            "  # The sources, for a design that depends on this core.",
            "  default:",
            "    filesets: [rtl]",
            f"    toplevel: {top}",
            "  # Verilator's linter: every warning but those of the waived rules.",
            "  lint:",
            "    filesets: [waivers, rtl]",
            f"    toplevel: {top}",
            "    flow: lint",
            "    flow_options:",
            "      tool: verilator",
            '      verilator_options: ["-Wall"]',
            "  # Compiled for Icarus Verilog.",
            "  sim:",
            "    filesets: [rtl]",
            f"    toplevel: {top}",
            "    flow: sim",
            "    flow_options:",
            "      tool: icarus",
            '      iverilog_options: ["-g2012"]',
            "",
        ]
    )
