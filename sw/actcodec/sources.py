"""Names that say where something is to be found: ``scheme:target[,option=value]…``.

    onnx:net.onnx,mean=0.485/0.456/0.406,std=0.229/0.224/0.225     imagefolder:photos,size=3x224x224

Options are part of the name, so that tables, which remember names, remember them too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from actcodec.errors import ActcodecError

_MOST_SIDE = 65536


@dataclass(frozen=True)
class Source:
    """``text`` taken apart: what is before the colon, behind it, and the options by name."""

    text: str
    scheme: str
    target: str
    options: Mapping[str, str]

    def shape(self, name: str, default: tuple[int, int, int]) -> tuple[int, int, int]:
        """Option ``name``, CxHxW."""
        text = self.options.get(name)
        return default if text is None else image_shape(text, f"{self.text}: {name}")

    def number(self, name: str, default: int | None) -> int | None:
        """Option ``name``, an integer from 0 on."""
        text = self.options.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"\d{1,12}", text, re.ASCII):
            raise ActcodecError(self.text, f"{name} = {text!r} is no number")
        return int(text)

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """Option ``name``, finite numbers separated by slashes; None where it is not given."""
        text = self.options.get(name)
        if text is None:
            return None
        try:
            found = tuple(float(part) for part in text.split("/"))
        except ValueError:
            found = ()
        if not found or not all(map(math.isfinite, found)):
            raise ActcodecError(self.text, f"{name} = {text!r} is no list of numbers a/b/c")
        return found

    def flag(self, name: str, default: bool) -> bool:
        """Option ``name``, yes or no."""
        text = self.options.get(name)
        if text not in (None, "yes", "no"):
            raise ActcodecError(self.text, f"{name} = {text!r} is neither yes nor no")
        return default if text is None else text == "yes"


def parse_source(text: str, options: tuple[str, ...]) -> Source:
    """Take ``text`` apart; ActcodecError for an option that is none of ``options`` or an empty target."""
    scheme, _, rest = text.partition(":")
    target, *parts = re.split(r",(?=\w+=)", rest)
    found: dict[str, str] = {}
    for part in parts:
        name, _, value = part.partition("=")
        if name not in options:
            raise ActcodecError(text, f"has no option {name!r}; known: {', '.join(options)}")
        found[name] = value
    if not target:
        raise ActcodecError(text, f"names nothing behind {scheme}:")
    return Source(text, scheme, target, found)


def image_shape(text: str, where: str) -> tuple[int, int, int]:
    """Return C, H, W of ``CxHxW``; ActcodecError names ``where``."""
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and 0 < int(part) <= _MOST_SIDE for part in parts):
        raise ActcodecError(where, f"{text!r} is not CxHxW")
    return int(parts[0]), int(parts[1]), int(parts[2])
