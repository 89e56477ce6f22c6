"""Verilog of the macro: its modules, ports, file list, waivers."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path

from actcodec import __version__
from actcodec.files import atomic_directory, read_json
from actcodec.pim.params import PimParams
from actcodec_rtl.generate import FILE_LIST, PORTS_FILE, STAMP, WAIVERS, resource, verilog_modules
from actcodec_rtl.pim.array import ARRAY_MODULE, PimArray
from actcodec_rtl.pim.cells import CELLS_MODULE, PimCells
from actcodec_rtl.pim.macro import PimMacro

TOP = "actcodec_pim"
# Besides the package itself: what exports it, and where its widths are from.
_SHARED = ("generate.py", "tidy.py", "ports.py", "component.py", "memory.py", f"verilog/{WAIVERS}")
_WIDTHS = ("pim/params.py", "pim/codes.py", "tables/records.py")


def generator_digest(params: PimParams) -> str:
    """SHA-256 of everything that decides the generated files: version, parameters and the generator's own source."""
    digest = hashlib.sha256(f"{__version__} {params.model_dump_json()}".encode())
    rtl, software = (Path(str(resources.files(package))) for package in ("actcodec_rtl", "actcodec"))
    shared = [*(rtl / name for name in _SHARED), *(software / name for name in _WIDTHS)]
    for path in (*sorted((rtl / "pim").glob("*.py")), *shared):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def generate_pim(params: PimParams, directory: Path) -> bool:
    """Write the RTL of ``params`` into ``directory``, all or nothing; False where it is there already.

    Files: one ``.sv`` a module (top ``actcodec_pim``; ``actcodec_pim_array`` and in it ``actcodec_pim_cells`` are those
    to replace), ``ports.json`` (ports with the layout of their payloads),
    ``files.f`` (file list), ``waivers.vlt`` (Verilator), ``generated.json`` (parameters).
    Raises ActcodecError where the directory cannot be written.
    """
    digest = generator_digest(params)
    stamp = directory / STAMP
    if stamp.is_file() and read_json(stamp).get("digest") == digest:
        return False
    modules, ports = verilog_modules(PimMacro(params), TOP)
    for name, block in ((ARRAY_MODULE, PimArray(params)), (CELLS_MODULE, PimCells(params))):
        modules |= verilog_modules(block, name)[0]
    with atomic_directory(directory) as temporary:
        for name, text in modules.items():
            (temporary / f"{name}.sv").write_text(text)
        (temporary / WAIVERS).write_bytes(resource(WAIVERS))
        (temporary / FILE_LIST).write_text("".join(f"{name}.sv\n" for name in modules))
        content = {"top": TOP, "ports": [port.as_json() for port in ports]}
        (temporary / PORTS_FILE).write_text(json.dumps(content, indent=1) + "\n")
        (temporary / STAMP).write_text(json.dumps({"digest": digest, "pim": params.as_json()}, indent=1) + "\n")
    return True
