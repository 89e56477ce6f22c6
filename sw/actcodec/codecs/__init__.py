"""What every codec makes of the same real activations: sizes of real streams and the work done for them; no torch.

`actcodec.codecs.measure` makes such a store by running a network, and needs torch.
"""

from __future__ import annotations

from actcodec.codecs.store import (
    IDLE,
    Activity,
    CodecSizes,
    CodecStore,
    SiteShape,
    StoredSize,
    load_codecs,
    save_codecs,
)

__all__ = [
    "IDLE",
    "Activity",
    "CodecSizes",
    "CodecStore",
    "SiteShape",
    "StoredSize",
    "load_codecs",
    "save_codecs",
]
