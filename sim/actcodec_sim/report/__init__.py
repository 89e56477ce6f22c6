"""Traffic reports as CSV, JSON and a self-contained HTML page."""

from actcodec_sim.report.accelerator import accelerator_roofline
from actcodec_sim.report.accuracy import Evaluation, Sweep, SweepPoint, load_evaluation, load_sweep
from actcodec_sim.report.codec_table import codec_rows, codecs_csv
from actcodec_sim.report.cosim import CosimRow, cosim_rows, load_cosim_rows
from actcodec_sim.report.csv_table import traffic_csv
from actcodec_sim.report.frame import frame_report
from actcodec_sim.report.page import html_page
from actcodec_sim.report.roofline import Roofline, RooflinePoint
from actcodec_sim.report.write import write_report

__all__ = [
    "CosimRow",
    "Evaluation",
    "Roofline",
    "RooflinePoint",
    "Sweep",
    "SweepPoint",
    "accelerator_roofline",
    "codec_rows",
    "codecs_csv",
    "cosim_rows",
    "frame_report",
    "html_page",
    "load_cosim_rows",
    "load_evaluation",
    "load_sweep",
    "traffic_csv",
    "write_report",
]
