"""TensorFlow's own custom-gradient mechanism: ``tf.custom_gradient``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

__all__ = ["mechanisms"]

Elementwise = Callable[[Any], Any]


def custom_gradient(value: Elementwise, slope: Elementwise) -> Elementwise:
    def function(x: Any) -> tuple[Any, Elementwise]:
        return value(x), lambda grad: grad * slope(x)

    wrapped: Elementwise = tf.custom_gradient(function)
    return wrapped


mechanisms: Mapping[str, Callable[[Elementwise, Elementwise], Elementwise]] = {
    "custom_gradient": custom_gradient,
}
