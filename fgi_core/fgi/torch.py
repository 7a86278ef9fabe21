"""``fgi.torch``: any surrogate as a ``torch.nn.Module``. Importing it imports PyTorch."""

from __future__ import annotations

from fgi_backends.torch.face import Surrogate

__all__ = ["Surrogate"]
