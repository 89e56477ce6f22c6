"""Tasks whose results are kept: run once each, here, in processes of this machine, or on the workers of a cluster."""

from actcodec.cluster.digest import sources_digest
from actcodec.cluster.run import run_tasks
from actcodec.cluster.scheduler import reach
from actcodec.cluster.task import Task

__all__ = ["Task", "reach", "run_tasks", "sources_digest"]
