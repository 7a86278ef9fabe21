"""The backend is one: each line of this report is a test."""

from __future__ import annotations

import mlx.core as mx
from fgi_mlx import backend

import fgi.testing
from fgi.testing.conformance import BOUNDS

EXP = fgi.testing.Bound("exp", "float32", 2, 1, "off as if x were rounded: 15 ulp at x = -56")

test_conformance = fgi.testing.conformance_test(
    backend, keys=lambda seed: [mx.random.key(seed)], bounds=(EXP, *BOUNDS)
)
