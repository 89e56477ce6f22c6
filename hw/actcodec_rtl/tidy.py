"""Yosys' Verilog made fit for other tools and for readers: textual, and only where the meaning stays the same."""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"\\(\S+) ")
_IDENTIFIER = re.compile(r"(?<![\\\w$'])[A-Za-z_][A-Za-z0-9_$]*")
_MUX = re.compile(r"^    casez \(s\) // synopsys parallel_case\n(.*?)^    endcase\n", re.MULTILINE | re.DOTALL)
_ARM = re.compile(r"\d+'b([?1]+):\n\s*(.*?;)")
_DEFAULT = re.compile(r"default:\n\s*(.*?;)")
_PART = re.compile(r"^  assign (\w+) *\[(\d+)(?::(\d+))?\] = ([^;]*);\n", re.MULTILINE)
_DECLARED = re.compile(r"^  wire \[(\d+):0\] (\w+) *;", re.MULTILINE)
_OPERAND = re.compile(r"[{} ,]|\d+'[bhd][0-9a-fA-F]+|[A-Za-z_]\w*|\[\d+(?::\d+)?\]")
_INITIAL = re.compile(r"^(  reg [^;=]*?) = [^;]*;", re.MULTILINE)
_MODULE = re.compile(r"^module (\w+).*?^endmodule\n", re.MULTILINE | re.DOTALL)


def tidy(text: str, top: str) -> str:
    """Apply the rewrites below to Verilog whose top module is ``top``."""
    plain = _plain_names(_priority_muxes(_reduction_not(_uninitialised(text))), top)
    return _MODULE.sub(lambda match: _whole_assignments(match[0]), plain)


def split_modules(text: str) -> dict[str, str]:
    """The text of every module by its name."""
    return {match[1]: match[0] for match in _MODULE.finditer(text)}


def _uninitialised(text: str) -> str:
    """Registers without initial values: what must be known is set by reset, and a simulator shows the rest as X."""
    return _INITIAL.sub(r"\1;", text)


def _reduction_not(text: str) -> str:
    """``! vector`` as ``~| vector``: the same bit, and no logical operator on a vector (WIDTHTRUNC)."""
    return re.sub(r"= ! (?=[\\\w{])", "= ~| ", text)


def _priority_muxes(text: str) -> str:
    """The one-hot ``casez (s)`` of Yosys' multiplexer functions as if … else if … else.

    The select bits are one-hot, but their patterns overlap as text (CASEOVERLAP).
    """

    def rewrite(match: re.Match[str]) -> str:
        arms = _ARM.findall(match[1])
        chain = [f"if (s[{bit[::-1].index('1')}])\n      {body}" for bit, body in arms]
        default = _DEFAULT.findall(match[1])
        return "    " + "\n    else ".join([*chain, f"\n      {default[0]}"]) + "\n"

    return _MUX.sub(rewrite, text)


def _whole_assignments(module: str) -> str:
    """A vector that is assigned part by part as one concatenation.

    Icarus resolves the parts as drivers of the whole vector, all of them again with every change of one: a bus of
    twenty fields takes more time than all the arithmetic behind it. Parts that are more than bits put side by side get
    a wire of their own, for in a concatenation an operator would lose its carry.
    """
    widths = {name: int(high) + 1 for high, name in _DECLARED.findall(module)}
    parts: dict[str, list[re.Match[str]]] = {}
    for match in _PART.finditer(module):
        parts.setdefault(match[1], []).append(match)
    for name, found in parts.items():
        found.sort(key=lambda match: -int(match[2]))
        ranges = [(int(match[2]), int(match[3] or match[2])) for match in found]
        covered = [high for high, _ in ranges] == [widths.get(name, 0) - 1, *(low - 1 for _, low in ranges[:-1])]
        if len(found) < 2 or not covered or ranges[-1][1] != 0:
            continue
        values, wires = [], ""
        for match, (high, low) in zip(found, ranges, strict=True):
            value = match[4].strip()
            if _OPERAND.sub("", value):
                wire = f"{name}_{high}_{low}"
                while re.search(rf"\b{wire}\b", module):
                    wire += "_part"
                wires += f"  wire [{high - low}:0] {wire};\n  assign {wire} = {value};\n"
                value = wire
            values.append(value)
            module = module.replace(match[0], "")
        module = (
            module.removesuffix("endmodule\n") + f"{wires}  assign {name} = {{ {', '.join(values)} }};\nendmodule\n"
        )
    return module


def _plain_names(text: str, top: str) -> str:
    """Escaped identifiers as plain ones: ``\\p.data[0]`` → p_data_0, ``\\$3`` → w_3.

    A name that is taken gets a number; names are looked at in the whole text, so that modules never clash. A name
    without any special character was escaped because it is a keyword, and stays as it is.
    """
    taken = set(_IDENTIFIER.findall(_ESCAPED.sub(" ", text)))
    names: dict[str, str] = {}
    for escaped in sorted(set(_ESCAPED.findall(text))):
        if re.fullmatch(r"[A-Za-z_]\w*", escaped):
            continue
        plain = re.sub(r"\W+", "_", escaped.removeprefix(f"{top}.")).strip("_")
        if escaped.startswith(f"{top}."):
            plain = f"actcodec_{plain}"
        # One bare word could be a keyword.
        if plain.isalpha() or not re.match(r"[A-Za-z_]", plain):
            plain = f"w_{plain}"
        unique, number = plain, 1
        while unique in taken:
            number += 1
            unique = f"{plain}_{number}"
        taken.add(unique)
        names[escaped] = unique
    return _ESCAPED.sub(lambda match: f"{names[match[1]]} " if match[1] in names else match[0], text)
