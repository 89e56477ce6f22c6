"""One site coded in one way, with what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actcodec.learn.draft import StreamSettings, Widths, draft_info, draft_table_bytes, stored_widths
from actcodec.learn.option import SiteOption
from actcodec.tables.geometry import planes_of, sizes_of


@dataclass(frozen=True, eq=False)
class Choice:
    """An option with widths (C,), its predicted loss an image (N·Σ s·D) and its bytes."""

    option: SiteOption
    widths: Widths
    loss: float
    stream_bytes: int
    table_bytes: int

    def bits(self, batch: int) -> float:
        """Bits an image: stream, and tables shared by ``batch`` images."""
        return 8 * (self.stream_bytes + self.table_bytes / batch)


def make_choice(option: SiteOption, widths: Widths, settings: StreamSettings) -> Choice:
    """Return ``option`` at ``widths`` (C,), its bytes counted by the format."""
    site = option.statistics.site
    info = draft_info(site, option.statistics.range, option.transform, widths, settings)
    stored = stored_widths(option.transform, widths)
    sizes = sizes_of(planes_of(info, stored), site.height, site.width, settings.transaction_bytes)
    loss = site.height * site.width * float(option.loss[widths, np.arange(site.channels)].sum())
    return Choice(option, widths, loss, sizes.stream_bytes, draft_table_bytes(info, stored, settings.params))
