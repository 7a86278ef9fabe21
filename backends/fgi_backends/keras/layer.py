"""``fgi.keras``: a surrogate as a Keras layer, and any surrogate as an activation that is saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

from ..adapter import split_parameters

__all__ = ["Surrogate", "register"]

CALLER = "fgi.keras.Surrogate"


def register(kind: type[Any], name: str, config: Callable[[Any], dict[str, Any]]) -> None:
    """Let Keras write a class of definitions into its files, by that name and configuration."""
    # Keras asks for it when it saves. Without fgi.keras a file would be written, and not be read.
    kind.get_config = config
    keras.saving.register_keras_serializable(package="fgi", name=name)(kind)


@keras.saving.register_keras_serializable(package="fgi", name="Layer")
class Surrogate(keras.layers.Layer):  # type: ignore[misc]
    """A layer that is a surrogate, with those of its parameters learned that you name.

        layer(x) = spike(x),   layer.spike: the surrogate with the parameters of now

    On PyTorch, JAX and TensorFlow, wherever Keras has a layer or an ``activation=``. A parameter
    named in ``learnable`` is a trainable weight of that name; one that is an array and not named
    there a weight that is not. What a loss has a derivative for is said by the surrogate: the
    parameters of one with ``through="primitive"``, and those in its own ``learnable``; by others
    it is zero, and they are learned from the gradient's derivative. ``constraints`` are Keras', by
    the name of the parameter; without, their range is not looked into.

    Shape and dtype: those of ``x``; under a mixed policy, its compute dtype. The weights have its
    variable dtype.

    Errors: TypeError where ``spike`` is no surrogate; ValueError for names that are no numbers of
    it; of Keras, with the reason, for files that a newer fgi wrote.
    """

    def __init__(
        self,
        spike: Any,
        learnable: str | Iterable[str] = (),
        constraints: Mapping[str, Any] | None = None,
        **named: Any,
    ) -> None:
        super().__init__(**named)
        self._mould, values, learned = split_parameters(CALLER, spike, learnable)
        self.learnable = list(learned)
        self._kept = tuple(values)
        self._initial = {
            name: keras.ops.convert_to_numpy(value).tolist() for name, value in values.items()
        }
        self.constraints = {n: keras.constraints.get(c) for n, c in (constraints or {}).items()}
        for name, value in values.items():
            array = keras.ops.convert_to_numpy(value)
            weight = self.add_weight(
                name=name,
                shape=array.shape,
                initializer=lambda shape, dtype, array=array: keras.ops.cast(array, dtype),
                trainable=name in learned,
                autocast=False,  # 16 bits are computed in float32
                constraint=self.constraints.get(name),
            )
            setattr(self, name, weight)
        self.supports_masking = True

    @property
    def spike(self) -> Any:
        """The surrogate, whose learned parameters are the layer's."""
        # As a cast, since TensorFlow counts a variable among the tensors.
        weights = {name: getattr(self, name) for name in self._kept}
        arrays = {name: keras.ops.cast(w, w.dtype) for name, w in weights.items()}
        return self._mould.build(arrays)

    def call(self, x: Any) -> Any:
        return self.spike(x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        # The numbers that it began with, as for any layer: those of now are weights.
        template = self._mould.build({n: _first(v) for n, v in self._initial.items()})
        return {
            **super().get_config(),
            "spike": keras.saving.serialize_keras_object(template),
            "arrays": {n: v for n, v in self._initial.items() if isinstance(v, list)},
            "learnable": list(self.learnable),
            "constraints": {n: keras.constraints.serialize(c) for n, c in self.constraints.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Surrogate:
        config = dict(config)
        spike = keras.saving.deserialize_keras_object(config.pop("spike"))
        arrays = config.pop("arrays", {})
        if arrays:
            spike = spike.replace(
                **{name: keras.ops.convert_to_tensor(v, "float32") for name, v in arrays.items()}
            )
        return cls(spike, **config)


def _first(value: Any) -> float:
    while isinstance(value, list):
        value = value[0]
    return float(value)
