"""Memory traffic of a frame: bytes counted from transactions, memory cycles and energy, codecs side by side."""

from actcodec_sim.traffic.compare import Change, CodecChange, Comparison, SiteChange, compare_reports
from actcodec_sim.traffic.energy import CodecBalance, EnergyModel, EnergyReport, energy_report, load_energy
from actcodec_sim.traffic.from_codecs import check_tables, run_codecs, store_provenance, stored_codecs
from actcodec_sim.traffic.from_tables import run_traffic, site_traffic, write_frame_traces
from actcodec_sim.traffic.model import simulate_codecs, simulate_traffic
from actcodec_sim.traffic.pacing import Pacing
from actcodec_sim.traffic.report_file import ReportFile, load_report
from actcodec_sim.traffic.result import CodecTraffic, FrameCost, FrameCosts, SiteResult, TrafficReport
from actcodec_sim.traffic.site import SiteTraffic, StoredSite
from actcodec_sim.traffic.timeline import CommandRun, CommandWindow, command_windows

__all__ = [
    "Change",
    "CodecBalance",
    "CodecChange",
    "CodecTraffic",
    "CommandRun",
    "CommandWindow",
    "Comparison",
    "EnergyModel",
    "EnergyReport",
    "FrameCost",
    "FrameCosts",
    "Pacing",
    "ReportFile",
    "SiteChange",
    "SiteResult",
    "SiteTraffic",
    "StoredSite",
    "TrafficReport",
    "check_tables",
    "command_windows",
    "compare_reports",
    "energy_report",
    "load_energy",
    "load_report",
    "run_codecs",
    "run_traffic",
    "simulate_codecs",
    "simulate_traffic",
    "site_traffic",
    "store_provenance",
    "stored_codecs",
    "write_frame_traces",
]
