"""Elaboration, once a design: the netlist of words that every measurement starts from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actcodec.errors import ActcodecError
from actcodec.files import read_json
from actcodec_rtl.synth.sources import Sources
from actcodec_rtl.synth.yosys import run_yosys

ELABORATED = "elaborated.il"
_JSON = "elaborated.json"


@dataclass(frozen=True)
class Design:
    """An elaborated design: ``directory / ELABORATED``, and the same as Yosys' JSON in ``modules``, by name."""

    directory: Path
    top: str
    modules: Mapping[str, Any]

    def instances(self) -> Iterator[tuple[str, str]]:
        """Path and module of every instance below the top, parents first."""
        return instances(self.modules, self.top)

    def matching(self, name: str) -> set[str]:
        """Modules that ``name`` means: the module of that name with any parameters, or that of the instance's path.

        Raises ActcodecError where there is none.
        """
        found = {module for path, module in self.instances() if name in (path, base_name(module))}
        if not found:
            raise ActcodecError(name, f"is neither a module nor an instance below {self.top}")
        return found


def base_name(module: str) -> str:
    r"""A module's name as the source has it: ``$paramod\leaf\W=s32'8`` and slang's ``leaf$top.a`` are ``leaf``."""
    if module.startswith("$paramod"):
        return re.sub(r"^\$paramod(\$\w+)?\\", "", module).split("\\")[0]
    return module.split("$")[0] or module


def instances(modules: Mapping[str, Any], top: str) -> Iterator[tuple[str, str]]:
    """Path (names joined by dots) and module of every instance below ``top`` in Yosys' JSON, parents first."""

    def below(module: str, prefix: str) -> Iterator[tuple[str, str]]:
        for cell, content in modules[module]["cells"].items():
            if content["type"] in modules:
                yield prefix + cell, content["type"]
                yield from below(content["type"], f"{prefix}{cell}.")

    return below(top, "")


def pattern(module: str) -> str:
    """``module`` as a selection pattern: its own wildcard characters as ``?``."""
    return re.sub(r"[\[\]*%]", "?", module)


def elaborate(sources: Sources, directory: Path) -> Design:
    """Read ``sources`` and elaborate them in the scratch folder ``directory``.

    Processes are netlist cells afterwards; assertions, prints and the sources' line numbers are gone.
    Raises ActcodecError with Yosys' error line: syntax, unknown modules, an unknown top.
    """
    run_yosys(
        [
            *sources.read_commands(directory),
            f"hierarchy -check -top {sources.top}",
            "proc",
            "chformal -remove",
            "delete */t:$print",
            # slang writes an asynchronous reset as a load of a constant.
            "opt_expr",
            "opt_dff -nodffe -nosdff",
            "opt_clean",
            "setattr -unset src",
            f"write_rtlil {ELABORATED}",
            f"write_json -noscopeinfo {_JSON}",
        ],
        directory,
    )
    modules = {
        name: module
        for name, module in read_json(directory / _JSON)["modules"].items()
        if "blackbox" not in module["attributes"]
    }
    return Design(directory, sources.top, modules)
