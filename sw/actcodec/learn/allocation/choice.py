"""One site coded in one way, with what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actcodec.learn.draft import StreamSettings, Widths, draft_info, draft_table_bytes, stored_widths
from actcodec.learn.option import SiteOption
from actcodec.tables.geometry import planes_of, sizes_of

Groups = NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class Choice:
    """An option with widths (C,), its predicted loss an image (N·Σ s·D) and its bytes."""

    option: SiteOption
    widths: Widths
    loss: float
    stream_bytes: int
    table_bytes: int
    group: Groups
    """(C,) the unit of width that every coefficient belongs to, numbered from 0."""

    def bits(self, batch: int) -> float:
        """Bits an image: stream, and tables shared by ``batch`` images."""
        return 8 * (self.stream_bytes + self.table_bytes / batch)


def make_choice(option: SiteOption, widths: Widths, settings: StreamSettings, group: Groups | None = None) -> Choice:
    """Return ``option`` at ``widths`` (C,), its bytes counted by the format; without ``group`` all are one."""
    site = option.statistics.site
    info = draft_info(site, option.statistics.range, option.transform, widths, settings)
    stored = stored_widths(option.transform, widths)
    sizes = sizes_of(planes_of(info, stored), site.height, site.width, settings.transaction_bytes)
    loss = site.height * site.width * float(option.loss[widths, np.arange(site.channels)].sum())
    tables = draft_table_bytes(info, stored, settings.params)
    group = np.zeros(site.channels, np.uint16) if group is None else group
    return Choice(option, widths, loss, sizes.stream_bytes, tables, group)
