"""Images of any size cut to one: as ImageNet is evaluated, bilinear, the middle of the scaled image.

    shorter side → round(side/0.875) of the size wanted, then the middle H×W        (256 and 224)

An image that already has the size is taken as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CROP = 0.875
"""Share of the scaled shorter side that is kept."""


def fitted(image: Image.Image, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return ``image`` as uint8 H×W×C for ``shape`` C, H, W: grey for one channel, else RGB."""
    channels, height, width = shape
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        scale = max(round(height / CROP) / image.height, round(width / CROP) / image.width)
        scaled = max(width, round(image.width * scale)), max(height, round(image.height * scale))
        left, top = (scaled[0] - width) // 2, (scaled[1] - height) // 2
        image = image.resize(scaled, Image.Resampling.BILINEAR).crop((left, top, left + width, top + height))
    return np.asarray(image, np.uint8).reshape(height, width, channels)
