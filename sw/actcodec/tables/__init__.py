"""Format v1: the frozen integer tables that golden model, RTL and traffic model read."""

from actcodec.tables.geometry import Plane, SiteSizes, Window, transaction_bytes_of
from actcodec.tables.io import digest_of, load_tables, manifest_of, save_tables
from actcodec.tables.model import Block, Provenance, SiteArrays, SiteInfo, SiteTable, Tables

__all__ = [
    "Block",
    "Plane",
    "Provenance",
    "SiteArrays",
    "SiteInfo",
    "SiteSizes",
    "SiteTable",
    "Tables",
    "Window",
    "digest_of",
    "load_tables",
    "manifest_of",
    "save_tables",
    "transaction_bytes_of",
]
