"""The golden model: integers, NumPy, no torch. Every other stage is compared with it for equality."""

from actcodec.golden.beats import Input, beat_integers, last_lanes, to_beats, to_encoder_beats, window_beats
from actcodec.golden.codec import SiteCodec
from actcodec.golden.container import Container, pack_container, read_container, unpack_container, write_container

__all__ = [
    "Container",
    "Input",
    "SiteCodec",
    "beat_integers",
    "last_lanes",
    "pack_container",
    "read_container",
    "to_beats",
    "to_encoder_beats",
    "unpack_container",
    "window_beats",
    "write_container",
]
