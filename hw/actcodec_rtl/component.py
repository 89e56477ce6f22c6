"""What every block of the codec derives from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
