"""Command windows of every layer and codec, as the data that the page's timeline is drawn from."""

from __future__ import annotations

from typing import Any

from actcodec_sim.traffic import CommandWindow, TrafficReport, command_windows

MOST_COMMANDS = 256
"""Commands of a window, as long as the page stays small."""
_PAGE_COMMANDS = 60_000
"""Commands of all windows of a page together."""


def window_commands(report: TrafficReport) -> int:
    """Commands of a window: fewer where a report has many layers and codecs."""
    windows = 2 * sum(len(codec.sites) for codec in report.codecs)
    return max(16, min(MOST_COMMANDS, _PAGE_COMMANDS // windows))


def timeline_data(report: TrafficReport) -> dict[str, Any]:
    """Banks, clock and windows by codec and layer; a window is ``[write, first read]``, each without its name."""
    limit = window_commands(report)
    organization = report.device.organization
    windows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for codec in report.codecs:
        stored = [site.stored for site in codec.sites]
        by_site: dict[str, list[dict[str, Any]]] = {site.name: [] for site in stored}
        for window in command_windows(stored, report.device, report.queue_depth, limit):
            by_site[window.site].append(_window_data(window))
        windows[codec.codec] = by_site
    return {
        "tCK": report.device.timing.tCK,
        "burst": report.device.burst_cycles,
        "refresh": report.device.timing.tRFC,
        "channels": organization.channels,
        "ranks": organization.ranks,
        "groups": organization.bank_groups,
        "banks": organization.banks_per_group,
        "windows": windows,
    }


def _window_data(window: CommandWindow) -> dict[str, Any]:
    return {
        "kind": window.kind.value,
        "start": window.start,
        "cycles": window.cycles,
        "commands": window.commands,
        "shown": window.shown,
        "open": [list(row) for row in window.open_rows],
        "runs": [[run.cycle, run.kind, run.target, run.row, run.count, run.pitch] for run in window.runs],
    }
