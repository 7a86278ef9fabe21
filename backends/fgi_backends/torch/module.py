"""``fgi.torch``: a surrogate as a ``torch.nn.Module``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..adapter import split_parameters

__all__ = ["Surrogate"]

CALLER = "fgi.torch.Surrogate"


class Surrogate(nn.Module):
    """A module that is a surrogate, with those of its parameters learned that you name.

        module(x) = spike(x),   module.spike: the surrogate with the parameters of now

    A parameter named in ``learnable`` is an ``nn.Parameter`` of that name; one that is a tensor and
    not named there is a buffer. Numbers become tensors of PyTorch's default dtype. What a loss has
    a derivative for is said by the surrogate: the parameters of one with ``through="primitive"``,
    and those in its own ``learnable``; by others it is zero, and they are learned from the
    gradient's derivative. Their range is not looked into while they are learned:
    ``torch.nn.utils.parametrize`` keeps them in it.

    It compiles, exports and traces; ``torch.jit.script`` takes a trace of it.

    Shape and dtype: those of ``x``, as for the surrogate.

    Errors: TypeError where ``spike`` is no surrogate, or has arrays of another framework;
    ValueError for names that are no numbers of it. ``load_state_dict`` has a RuntimeError where a
    newer fgi wrote the file.
    """

    # PyTorch stores it beside the state. Count one where a state of before is read differently.
    _version = 1

    def __init__(self, spike: Any, learnable: str | Iterable[str] = ()) -> None:
        super().__init__()
        self._mould, values, self.learnable = split_parameters(CALLER, spike, learnable)
        self._kept = tuple(values)
        for name, value in values.items():
            tensor = _tensor(name, value)
            if name in self.learnable:
                self.register_parameter(name, nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)

    @property
    def spike(self) -> Any:
        """The surrogate, whose learned parameters are the module's."""
        return self._mould.build({name: getattr(self, name) for name in self._kept})

    def forward(self, x: Tensor, key: Any = None) -> Tensor:
        y: Tensor = self.spike(x, key)
        return y

    def extra_repr(self) -> str:
        now = self._mould.build({name: getattr(self, name).detach() for name in self._kept})
        return f"{now!r}, learnable={self.learnable}"

    def __prepare_scriptable__(self) -> Any:
        # A trace returned from here would replace this module in its parent, for good.
        raise TypeError(
            f"{CALLER}: torch.jit.script can follow no dispatch; expected a trace in its place, "
            f"which it takes: torch.jit.trace(module, (x,)); or write torch.export.export"
        )

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, *others: Any
    ) -> None:
        version = local_metadata.get("version") or 1
        if version > self._version:
            *_, messages = others
            messages.append(
                f"{CALLER}: {prefix or 'the state'} has version {version}; expected "
                f"{self._version} or less; a newer fgi wrote it: update fgi"
            )
            return
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)


def _tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, float):
        return torch.tensor(value)
    raise TypeError(
        f"{CALLER}: {name} is a {type(value).__name__}; expected a number or a torch.Tensor; "
        f"convert it first, for example with torch.tensor(...)"
    )
