"""The backends' modes, ``MODES[framework][mode]``, and which of them run here.

``RUNNING`` take surrogates, ``PAIRS`` of these any element-wise function, in float64 too.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from fgi_backends.measure.mode import Mode, unchanged

from .frameworks import INSTALLED_AUTODIFF, load


def _modes(framework: str) -> Mapping[str, Mode]:
    load(framework)
    modes: Mapping[str, Mode] = import_module(f"fgi_backends.{framework}.measure.modes").MODES
    return modes


MODES = {name: _modes(name) for name in INSTALLED_AUTODIFF}
RUNNING = [
    (name, mode.name) for name in MODES for mode in MODES[name].values() if mode.absent() is None
]
PAIRS = [
    (name, mode)
    for name, mode in RUNNING
    if MODES[name][mode].prepare is unchanged and "float64" in MODES[name][mode].dtypes
]
