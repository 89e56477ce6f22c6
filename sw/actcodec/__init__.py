"""actcodec: learning, tables, golden model and command line of an activation codec.

Importing this package, its tables or its golden model never imports torch.
"""

__version__ = "0.1.0"
