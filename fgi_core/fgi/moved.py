"""The module names of 0.1 that still import, and still unpickle, though their files have moved.

``import fgi.definition`` gives a module whose names are looked up, when they are asked for, where
they are now. New code takes the public names: ``fgi.Surrogate``, ``fgi.values.Round``.
"""

from __future__ import annotations

from fgi_backends import moved

__all__ = ["MOVED", "keep_old_names"]

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


def keep_old_names(package: str) -> None:
    """Make the old names directly inside ``package`` importable; nothing is loaded."""
    moved.keep_old_names(package, MOVED)
