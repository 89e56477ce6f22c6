"""What every block of the codec derives from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amaranth.hdl import ShapeLike, Signal
from amaranth.lib import wiring

if TYPE_CHECKING:
    _Component = wiring.Component[Any]
else:
    _Component = wiring.Component


class Block(_Component):
    """A component whose ports are the members of the signature that it is constructed with."""

    if TYPE_CHECKING:
        # Amaranth makes the ports at run time; a class per width would say the same thing twice.
        def __getattr__(self, name: str) -> Any: ...


def register(shape: ShapeLike, name: str) -> Any:
    """A register of data: no reset, for a flag beside it tells whether it holds anything.

    A reset costs a gate a bit. Returns a signal, or the view of one where the shape is a layout.
    """
    return Signal(shape, name=name, reset_less=True)
