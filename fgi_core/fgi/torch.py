"""``fgi.torch``: any surrogate as a ``torch.nn.Module``, and whether an exported program kept it.

Importing it imports PyTorch.
"""

from __future__ import annotations

from fgi_backends.torch.exported import check_exported
from fgi_backends.torch.module import Surrogate

__all__ = ["Surrogate", "check_exported"]
