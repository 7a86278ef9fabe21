"""The private names of TensorFlow that this backend reads, all of them.

Each is looked up once. Where a version of TensorFlow lacks one, the function that asks it gives the
answer that is never wrong: that somebody may look, so that only arithmetic is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import tensorflow as tf

__all__ = ["compiled_by_xla", "followed_by_accumulator", "seen_by_tape"]

PRIVATE = {
    "tapes": ("tensorflow.python.ops.gradients_util", "PossibleTapeGradientTypes"),
    "no_tape": ("tensorflow.python.ops.gradients_util", "POSSIBLE_GRADIENT_TYPES_NONE"),
    "xla": ("tensorflow.python.ops.control_flow_util", "GraphOrParentsInXlaContext"),
    "tangents": ("tensorflow.python.eager.forwardprop_util", "pack_tangents"),
}


def _found(module: str, name: str) -> Any:
    """The name; None where this version lacks it."""
    try:
        return getattr(import_module(module), name, None)
    except ImportError:
        return None


_tapes = _found(*PRIVATE["tapes"])
_no_tape = _found(*PRIVATE["no_tape"])
_xla = _found(*PRIVATE["xla"])
_tangents = _found(*PRIVATE["tangents"])


def seen_by_tape(*xs: Any) -> bool:
    """Whether a tape or an accumulator records one of these eager tensors, or may do so."""
    if _tapes is None or _no_tape is None:
        return True
    return bool(_tapes(xs) != _no_tape)


def compiled_by_xla() -> bool:
    """Whether XLA is known to compile the graph that is being made."""
    if _xla is None or tf.executing_eagerly():
        return False
    return bool(_xla(tf.compat.v1.get_default_graph()))


def followed_by_accumulator(x: Any) -> bool:
    """Whether forward mode follows ``x``, or may do so."""
    return _tangents is None or bool(_tangents([x]).tangents)
