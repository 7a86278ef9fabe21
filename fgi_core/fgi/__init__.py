"""Forward gradient injection: value of f, gradient of your choice, in every framework.

    y = f(x0) + g'(x0) * (x - x0),   x0 = stop_gradient(x)

Importing this package loads no framework. ``fgi.injection`` holds the one definition,
``fgi.surrogates`` the catalogue, ``fgi.values`` the functions that a surrogate may return the value
of, ``fgi.dispatch`` the choice of a backend.
"""

import typing as _typing

from . import functional, networks, neurons, surrogates
from .by_name import get
from .custom import custom_jvp
from .definition import Surrogate, surrogate
from .dispatch import (
    available_backends,
    get_backend,
    namespace,
    register_backend,
    set_backend,
    use_backend,
)
from .forward import forward_gradient
from .given import set_gradients
from .inference import inference_mode
from .injection import bypass, inject, stop_gradient, tangent
from .parameters import number, positive, unit
from .storage import convert, load, save
from .transforms import compile, grad, jvp, scan, value_and_grad, vjp, vmap
from .values import (
    Heaviside,
    Round,
    Sign,
    ceil,
    floor,
    heaviside,
    identity,
    round,
    sign,
    truncate,
)

__version__ = "0.1.0"

from_config = Surrogate.from_config


if _typing.TYPE_CHECKING:
    from . import jax as jax, keras as keras, testing as testing, torch as torch

# They need NumPy or a framework, and `import fgi` nothing.
_ON_USE = ("jax", "keras", "testing", "torch")


def __getattr__(name: str) -> _typing.Any:
    if name in _ON_USE:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_USE})


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
    "set_gradients",
    "sign",
    "stop_gradient",
    "surrogate",
    "surrogates",
    "tangent",
    "truncate",
    "unit",
    "use_backend",
    "value_and_grad",
    "vjp",
    "vmap",
]
