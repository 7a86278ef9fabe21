"""``python -m support.keras_face FOLDER``: what tests/test_face_keras.py looks at, as JSON.

In a process of its own, as Keras chooses its backend once.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

import fgi

X, U = np.array([[-0.5, 0.25, 1.5]]), np.array([[2.0, -1.0, 3.0]])
KERNEL = np.array([[1.0, -0.5, 0.25], [0.5, 2.0, -1.0], [0.0, 0.75, 1.5]])
RATE = 0.125
SIGMA, ALPHA, BETA = 0.7, 2.5, [2.0, 3.0, 0.5]


def numbers(x: Any) -> Any:
    return np.asarray(keras.ops.convert_to_numpy(x), "float64").tolist()


@keras.saving.register_keras_serializable()
def weighted(u: Any, y: Any) -> Any:
    """The loss whose gradient by y is u."""
    return keras.ops.sum(u * y, axis=-1)


def model() -> Any:
    """A surrogate as an activation, a layer as an activation, a layer on its own."""
    spike = fgi.surrogates.Gaussian(sigma=SIGMA, forward=fgi.values.Identity())
    beta = fgi.surrogates.Sigmoid(alpha=keras.ops.convert_to_tensor(BETA),
                                  through="primitive", forward=fgi.values.Identity())  # fmt: skip
    dense = keras.layers.Dense(3, activation=spike, use_bias=False)
    again = keras.layers.Dense(3, use_bias=False, activation=fgi.keras.Surrogate(beta, "alpha"))
    atan = fgi.surrogates.ATan(alpha=ALPHA, through="primitive")
    last = fgi.keras.Surrogate(atan, "alpha", name="last")
    made = keras.Sequential([keras.Input((3,)), dense, again, last])
    dense.set_weights([KERNEL])
    again.kernel.assign(KERNEL)
    return made


def pair(f: Any) -> dict[str, Any]:
    """The value at X, and the gradient there for U."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x, u = tf.constant(X, tf.float32), tf.constant(U, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        dx = tape.gradient(y, x, u)
    elif keras.backend.backend() == "torch":
        import torch

        x = torch.tensor(X, dtype=torch.float32, requires_grad=True)
        y = f(x)
        (dx,) = torch.autograd.grad(y, x, torch.tensor(U, dtype=torch.float32))
        dx, y = dx.detach(), y.detach()
    else:
        import jax

        y, pullback = jax.vjp(f, jax.numpy.asarray(X, "float32"))
        (dx,) = pullback(jax.numpy.asarray(U, "float32"))
    return {"y": numbers(y), "dx": numbers(dx)}


def weights(made: Any) -> dict[str, Any]:
    _, again, last = made.layers
    return {
        "kernel": numbers(again.kernel),
        "beta": numbers(again.activation.alpha),
        "alpha": numbers(last.alpha),
    }


def everything(made: Any) -> dict[str, Any]:
    return pair(made) | weights(made)


def said(f: Any) -> str:
    try:
        f()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def newer(made: Any, path: Path) -> str:
    """What is said where the file has a schema that this fgi does not know."""
    config = json.dumps(made.get_config()).replace('"schema": 1', '"schema": 2')
    return said(lambda: keras.Sequential.from_config(json.loads(config)))


def exported(made: Any, folder: Path) -> Any:
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    made.export(folder / "saved", verbose=False)
    loaded = tf.saved_model.load(folder / "saved")
    return pair(loaded.serve)


def constrained() -> list[float]:
    """The parameter after a step that would make it negative, without and with a constraint."""
    found = []
    for constraints in ({}, {"alpha": "non_neg"}):
        spike = fgi.surrogates.ATan(alpha=0.25, through="primitive")
        layer = fgi.keras.Surrogate(spike, "alpha", constraints=constraints)
        layer = fgi.keras.Surrogate.from_config(layer.get_config())
        made = keras.Sequential([keras.Input((3,)), layer])
        made.compile(keras.optimizers.SGD(16.0), weighted)
        made.fit(X, U, verbose=0)
        found.append(numbers(layer.alpha))
    return found


def mixed() -> dict[str, Any]:
    """The dtypes of results and weights under a mixed policy, and a weight that 16 bits lack."""
    layer = fgi.keras.Surrogate(fgi.surrogates.ATan(through="primitive"), "alpha",
                                dtype="mixed_float16")  # fmt: skip
    dense = keras.layers.Dense(3, activation=fgi.surrogates.ATan(), dtype="mixed_bfloat16")
    steep = fgi.keras.Surrogate(fgi.surrogates.ATan(alpha=1e5), "alpha", dtype="mixed_float16")
    of = keras.backend.standardize_dtype
    return {
        "steep": numbers(steep(X)),
        "layer": of(layer(X).dtype),
        "weight": of(layer.alpha.dtype),
        "dense": of(dense(X).dtype),
    }


def main(folder: Path) -> dict[str, Any]:
    backend = keras.backend.backend()
    without = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(3, activation=fgi.surrogates.ATan())]
    )
    facts: dict[str, Any] = {"without": said(lambda: without.save(folder / "without.keras"))}
    made = model()  # imports fgi.keras
    facts["made"] = everything(made)
    facts["cloned"] = weights(keras.models.clone_model(made))
    made.compile(keras.optimizers.SGD(RATE), weighted)
    made.layers[0].trainable = False
    made.fit(X, U, epochs=1, verbose=0)
    facts["trained"] = everything(made)
    made.save(folder / f"{backend}.keras")
    loaded = keras.models.load_model(folder / f"{backend}.keras", compile=False)
    facts["loaded"] = everything(loaded)
    facts["equal"] = [
        loaded.layers[0].activation == made.layers[0].activation,
        loaded.layers[2].get_config() == made.layers[2].get_config(),
        loaded.layers[1].activation.get_config() == made.layers[1].activation.get_config(),
    ]
    facts["pickled"] = everything(pickle.loads(pickle.dumps(loaded)))
    facts["others"] = {
        path.stem: everything(keras.models.load_model(path, compile=False))
        for path in sorted(folder.glob("*.keras"))
        if path.stem not in (backend, "without")
    }
    facts["exported"] = exported(loaded, folder)
    facts["newer"] = newer(made, folder)
    facts["mixed"] = mixed()
    facts["constrained"] = constrained()
    facts["wrong"] = [
        said(lambda: fgi.keras.Surrogate("atan")),
        said(lambda: fgi.keras.Surrogate(fgi.surrogates.ATan(), "beta")),
        said(lambda: fgi.keras.Surrogate(fgi.surrogates.ATan(forward=abs)).get_config()),
    ]
    facts["trainable"] = [w.path.rpartition("/")[2] for w in made.trainable_weights]
    return facts


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print("facts:" + json.dumps(main(Path(sys.argv[1]))))
