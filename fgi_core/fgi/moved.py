"""Where the modules of fgi 0.1 are now: their old names still import, and old pickles still load.

``import fgi.definition`` gives a module whose names are looked up, when asked for, where they have
moved. Write the public names in new code: ``fgi.Surrogate``, ``fgi.values.Round``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["MOVED"]

CATALOGUE = "fgi.surrogates.catalogue"

MOVED: dict[str, tuple[str, ...]] = {
    "fgi.by_name": ("fgi.surrogates.get",),
    "fgi.custom": ("fgi.injection.custom_jvp",),
    "fgi.definition": ("fgi.surrogates.surrogate",),
    "fgi.description": ("fgi.surrogates.description", "fgi.parameters"),
    "fgi.estimators": ("fgi.functional.vectors",),
    "fgi.formulas": ("fgi.values.formulas",),
    "fgi.forward": ("fgi.transforms.forward_gradient",),
    "fgi.gallery": ("fgi.surrogates.gallery",),
    "fgi.given": ("fgi.injection.set_gradients",),
    "fgi.inference": ("fgi.injection.inference",),
    "fgi.machine": ("fgi.bench.provenance",),
    "fgi.plot": ("fgi.surrogates.plot",),
    "fgi.presets": ("fgi.surrogates.presets", "fgi.parameters"),
    "fgi.quadrature": ("fgi.injection.quadrature",),
    "fgi.tensorwise": ("fgi.functional.tensors",),
    "fgi.trees": ("fgi.backend.trees",),
    "fgi.surrogates.counts": (f"{CATALOGUE}.spike_counts",),
    "fgi.surrogates.piecewise": (f"{CATALOGUE}.piecewise",),
    "fgi.surrogates.pointed": (f"{CATALOGUE}.cusps",),
    "fgi.surrogates.quantisers": (f"{CATALOGUE}.quantisers",),
    "fgi.surrogates.smooth": (f"{CATALOGUE}.smooth",),
    "fgi.surrogates.stochastic": (f"{CATALOGUE}.stochastic",),
    "fgi.surrogates.surgery": (f"{CATALOGUE}.gradient_scaling",),
    "fgi.testing.between": ("fgi.testing.cross_framework",),
    "fgi.testing.engine": ("fgi.testing.run",),
    "fgi.testing.isolation": ("fgi.testing.workers",),
    "fgi.testing.journal": ("fgi.testing.resume",),
    "fgi.testing.judge": ("fgi.testing.compare",),
}
"""By old name, the modules that have its names now."""


class _Moved(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            for target in MOVED[self.__name__]:
                found = getattr(import_module(target), name, self)
                if found is not self:
                    return found
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def alias() -> None:
    """Make the old names importable; nothing is loaded."""
    for old in MOVED:
        sys.modules.setdefault(old, _Moved(old, f"Moved to {' and '.join(MOVED[old])}."))


alias()
