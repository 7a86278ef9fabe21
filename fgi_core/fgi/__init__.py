"""Forward gradient injection: value of f, gradient of your choice, in every framework.

    y = f(x0) + g'(x0) * (x - x0),   x0 = stop_gradient(x)

Importing this package loads no framework. ``fgi.injection`` holds the definition, in
``expansion``, and its fast paths, which give the same numbers. ``fgi.surrogates`` has the
catalogue, ``fgi.values`` the functions f, ``fgi.backend`` the choice of a framework.
"""

import typing as _typing

from . import functional, moved as moved, surrogates, values
from .backend.dispatch import get_backend, namespace, set_backend, use_backend
from .backend.registry import available_backends, register_backend
from .injection.custom_jvp import custom_jvp
from .injection.fast import set_fast_paths, use_fast_paths
from .injection.functions import bypass, inject, stop_gradient, tangent
from .injection.inference import inference_mode
from .injection.set_gradients import set_gradients
from .parameters import number, positive, unit
from .storage import convert, load, save
from .surrogates.get import get
from .surrogates.surrogate import Surrogate, surrogate
from .transforms.forward_gradient import forward_gradient
from .transforms.framework import compile, grad, jvp, scan, value_and_grad, vjp, vmap
from .values.rounding import Round, ceil, floor, round, truncate
from .values.shapes import identity
from .values.steps import Heaviside, Sign, heaviside, sign

__version__ = "0.1.0"

from_config = Surrogate.from_config


if _typing.TYPE_CHECKING:
    from . import (
        jax as jax,
        keras as keras,
        networks as networks,
        neurons as neurons,
        testing as testing,
        torch as torch,
    )

# Loaded on use: some need NumPy or a framework, and all of them time.
_ON_USE = ("jax", "keras", "networks", "neurons", "testing", "torch")


def __getattr__(name: str) -> _typing.Any:
    if name in _ON_USE:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    old = {name.removeprefix(f"{__name__}.") for name in moved.MOVED}
    return sorted({*globals(), *_ON_USE} - old)


moved.keep_old_names(__name__)


__all__ = [
    "Heaviside",
    "Round",
    "Sign",
    "Surrogate",
    "available_backends",
    "bypass",
    "ceil",
    "compile",
    "convert",
    "custom_jvp",
    "floor",
    "forward_gradient",
    "from_config",
    "functional",
    "get",
    "get_backend",
    "grad",
    "heaviside",
    "identity",
    "inference_mode",
    "inject",
    "jvp",
    "load",
    "namespace",
    "networks",
    "neurons",
    "number",
    "positive",
    "register_backend",
    "round",
    "save",
    "scan",
    "set_backend",
    "set_fast_paths",
    "set_gradients",
    "sign",
    "stop_gradient",
    "surrogate",
    "surrogates",
    "tangent",
    "truncate",
    "unit",
    "use_backend",
    "use_fast_paths",
    "value_and_grad",
    "values",
    "vjp",
    "vmap",
]
