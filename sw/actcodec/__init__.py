"""actcodec: learning, tables, golden model and command line of an activation codec.

`actcodec.api` has the verbs of the command line as functions. Importing this package, its tables or its golden model
never imports torch.
"""

from __future__ import annotations

from actcodec import api as api

__version__ = "0.1.0"
