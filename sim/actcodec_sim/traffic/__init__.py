"""Memory traffic of a frame: bytes counted from transactions, memory cycles and energy, codecs side by side."""

from actcodec_sim.traffic.compare import Change, CodecChange, Comparison, SiteChange, compare_reports
from actcodec_sim.traffic.from_tables import run_traffic, site_traffic, write_frame_traces
from actcodec_sim.traffic.model import simulate_traffic
from actcodec_sim.traffic.pacing import Pacing
from actcodec_sim.traffic.report_file import ReportFile, load_report
from actcodec_sim.traffic.result import CodecTraffic, FrameCost, FrameCosts, SiteResult, TrafficReport
from actcodec_sim.traffic.site import SiteTraffic
from actcodec_sim.traffic.timeline import CommandRun, CommandWindow, command_windows

__all__ = [
    "Change",
    "CodecChange",
    "CodecTraffic",
    "CommandRun",
    "CommandWindow",
    "Comparison",
    "FrameCost",
    "FrameCosts",
    "Pacing",
    "ReportFile",
    "SiteChange",
    "SiteResult",
    "SiteTraffic",
    "TrafficReport",
    "command_windows",
    "compare_reports",
    "load_report",
    "run_traffic",
    "simulate_traffic",
    "site_traffic",
    "write_frame_traces",
]
