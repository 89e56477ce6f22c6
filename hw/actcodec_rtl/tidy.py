"""Yosys' Verilog made fit for other tools and for readers: textual, and only where the meaning stays the same."""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"\\(\S+) ")
_IDENTIFIER = re.compile(r"(?<![\\\w$'])[A-Za-z_][A-Za-z0-9_$]*")
_MODULE = re.compile(r"^module (\w+).*?^endmodule\n", re.MULTILINE | re.DOTALL)


def tidy(text: str, top: str) -> str:
    """Apply all of the rewrites below to Verilog whose top module is ``top``."""
    return _plain_names(_complete_cases(_reduction_not(_always_comb(text))), top)


def split_modules(text: str) -> dict[str, str]:
    """The text of every module by its name."""
    return {match[1]: match[0] for match in _MODULE.finditer(text)}


def _always_comb(text: str) -> str:
    """``always @*`` as ``always_comb``.

    Icarus never evaluates an ``always @*`` whose inputs do not change after time 0: its outputs stay X.
    """
    return re.sub(r"always @\*|always @\(\*\)", "always_comb", text)


def _reduction_not(text: str) -> str:
    """``! vector`` as ``~| vector``: the same bit, and no logical operator on a vector (WIDTHTRUNC)."""
    return re.sub(r"= ! (?=[\\\w{])", "= ~| ", text)


def _complete_cases(text: str) -> str:
    """Give every case without a default an empty one (CASEINCOMPLETE).

    Amaranth assigns every signal before the case, so that nothing is latched; the default only says so.
    """
    lines: list[str] = []
    has_default: list[bool] = []
    for line in text.splitlines(keepends=True):
        word = line.strip()
        if word.startswith(("case (", "casez (")):
            has_default.append(False)
        elif word.startswith("default:") and has_default:
            has_default[-1] = True
        elif word == "endcase" and not has_default.pop():
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f"{indent}  default: ;\n")
        lines.append(line)
    return "".join(lines)


def _plain_names(text: str, top: str) -> str:
    """Escaped identifiers as plain ones: ``\\top.encoder`` → actcodec_encoder, ``\\p.data[0]`` → p_data_0, ``\\$3`` → w_3.

    A name that is taken gets a number; names are looked at in the whole text, so that modules never clash.
    """
    taken = set(_IDENTIFIER.findall(_ESCAPED.sub(" ", text)))
    names: dict[str, str] = {}
    for escaped in sorted(set(_ESCAPED.findall(text))):
        plain = re.sub(r"\W+", "_", escaped.removeprefix(f"{top}.")).strip("_")
        if escaped.startswith(f"{top}."):
            plain = f"actcodec_{plain}"
        if not re.match(r"[A-Za-z_]", plain):
            plain = f"w_{plain}"
        unique, number = plain, 1
        while unique in taken:
            number += 1
            unique = f"{plain}_{number}"
        taken.add(unique)
        names[escaped] = unique
    return _ESCAPED.sub(lambda match: f"{names[match[1]]} ", text)
