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
    return _MODULE.sub(lambda match: _whole_assignments(_named_parts(match[0])), plain)


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


_Part = tuple[re.Match[str], tuple[int, int]]
"""An assignment of a part of a vector, and the part's first and last bit, the upper one first."""


def _in_parts(module: str) -> dict[str, list[_Part]]:
    """Vectors all bits of which are assigned in two parts or more, upper parts first."""
    widths = {name: int(high) + 1 for high, name in _DECLARED.findall(module)}
    parts: dict[str, list[_Part]] = {}
    for match in _PART.finditer(module):
        parts.setdefault(match[1], []).append((match, (int(match[2]), int(match[3] or match[2]))))
    found = {}
    for name, members in parts.items():
        members.sort(key=lambda part: -part[1][0])
        ends = [high for _, (high, _) in members]
        expected = [widths.get(name, 0) - 1, *(low - 1 for _, (_, low) in members)]
        if len(members) > 1 and [*ends, -1] == expected:
            found[name] = members
    return found


def _free_name(module: str, name: str) -> str:
    while re.search(rf"\b{name}\b", module):
        name += "_part"
    return name


def _named_parts(module: str) -> str:
    """A part of a vector that is assigned in parts, where it is read, as a wire of its own.

    With the vector as one concatenation, a part that depends on another one would be a loop through the whole vector
    (UNOPTFLAT), though no bit depends on itself.
    """
    for name, members in _in_parts(module).items():
        module = _name_parts_of(module, name, [bits for _, bits in members])
    return module


def _name_parts_of(module: str, name: str, parts: list[tuple[int, int]]) -> str:
    wires: dict[tuple[int, int], str] = {}

    def rewrite(match: re.Match[str]) -> str:
        high, low = int(match[2]), int(match[3] or match[2])
        part = next((bits for bits in parts if bits[0] >= high and low >= bits[1]), None)
        if match[1] or part is None:
            return match[0]
        wire = wires.setdefault(part, _free_name(module, f"{name}_{part[0]}_{part[1]}"))
        return f"{wire} " if part == (high, low) else f"{wire} [{high - part[1]}:{low - part[1]}]"

    text = re.sub(rf"(assign )?\b{name} *\[(\d+)(?::(\d+))?\]", rewrite, module)
    for (high, low), wire in wires.items():
        place = f"[{high}:{low}]" if high > low else f"[{high}]"
        text = re.sub(
            rf"^  assign {name} *{re.escape(place)} = ([^;]*);\n",
            rf"  assign {wire} = \1;\n  assign {name} {place} = {wire};\n",
            text,
            flags=re.MULTILINE,
        )
        # A name is declared before it is used.
        text = text.replace(";\n", f";\n  wire [{high - low}:0] {wire};\n", 1)
    return text


def _whole_assignments(module: str) -> str:
    """A vector that is assigned part by part as one concatenation.

    Icarus resolves the parts as drivers of the whole vector, all of them again with every change of one: a bus of
    twenty fields takes more time than all the arithmetic behind it. Parts that are more than bits put side by side get
    a wire of their own, for in a concatenation an operator would lose its carry.
    """
    for name, found in _in_parts(module).items():
        values, wires = [], ""
        for match, (high, low) in found:
            value = match[4].strip()
            if _OPERAND.sub("", value):
                wire = _free_name(module, f"{name}_{high}_{low}")
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
