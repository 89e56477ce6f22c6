"""Traffic reports as CSV, JSON and a self-contained HTML page."""

from actcodec_sim.report.accuracy import Evaluation, Sweep, SweepPoint, load_evaluation, load_sweep
from actcodec_sim.report.codec_table import codec_rows, codecs_csv
from actcodec_sim.report.cosim import CosimRow, cosim_rows, load_cosim_rows
from actcodec_sim.report.csv_table import traffic_csv
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
    "codec_rows",
    "codecs_csv",
    "cosim_rows",
    "html_page",
    "load_cosim_rows",
    "load_evaluation",
    "load_sweep",
    "traffic_csv",
    "write_report",
]
