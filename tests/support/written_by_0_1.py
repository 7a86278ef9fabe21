"""The files in tests/data/fgi_0_1, and the program that wrote them with fgi 0.1.0.

They stay as they are: they stand for what users of 0.1.0 have on their disks. To see that this is
what wrote them, put the sources of 0.1.0 before these tests in ``PYTHONPATH`` and run
``python -c "from support import written_by_0_1; written_by_0_1.write()"``.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import pickle
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fgi

FOLDER = Path(__file__).parents[1] / "data" / "fgi_0_1"
VERSION = "0.1.0"


def product(x: Any, y: Any) -> Any:
    return x * y


def product_rule(primals: Any, tangents: Any) -> Any:
    (x, y), (dx, dy) = primals, tangents
    return dx * y + x * dy


@fgi.surrogate
def hat(x: Any, width: float = 1.0) -> Any:
    xp = fgi.namespace(x)
    return xp.maximum(1 - abs(x) / width, xp.zeros_like(x))


NAMES: dict[str, Any] = {"fgi": fgi, "hat": hat, "product": product, "product_rule": product_rule}

ROUND = "fgi.values.Round(step=0.25, low=-1.0, high=1.0, ties='up')"
ATAN = f"fgi.surrogates.ATan(alpha=3.0, order=2, forward={ROUND})"

OTHERS = (
    ATAN,
    "hat()",
    "hat(width=0.5, forward=fgi.sign)",
    *("fgi.heaviside", "fgi.sign", "fgi.round", "fgi.floor", "fgi.ceil", "fgi.truncate"),
    "fgi.identity",
    "fgi.values.binary",
    "fgi.values.spike_at_zero",
    "fgi.values.Bernoulli(fgi.identity, low=-1.0)",
    "fgi.values.Compose(fgi.sign, fgi.round)",
    "fgi.values.Lookup((-1.0, 0.5, 2.0))",
    "fgi.surrogates.ATan(alpha=3.0).smooth()",
    "fgi.surrogates.ATan().smooth().forward",
    "fgi.surrogates.ATan().native()",
    "fgi.surrogates.Triangle().native('custom_jvp')",
    "fgi.get('spikingjelly.ATan', alpha=4.0)",
    "fgi.surrogates.preset('snntorch.fast_sigmoid', slope=20.0)",
    "fgi.functional.atan",
    "fgi.functional.top_k",
    "fgi.functional.ternary_weight",
    "fgi.custom_jvp(product, product_rule)",
    "fgi.custom_jvp(product, product_rule, order=3)",
    f"fgi.neurons.ALIF({ATAN}, threshold=0.2)",
    "fgi.neurons.LIF(hat(), reset='value', gain=0.5)",
    "fgi.neurons.preset('spikingjelly.LIFNode', tau=4.0)",
    "fgi.neurons.normal(0.0, 0.5)",
    "fgi.neurons.uniform(0.0, 0.5)",
    "fgi.neurons.ALIF().learned['alpha'].draw",
    "fgi.networks.Network(fgi.neurons.ALIF())",
    "fgi.networks.Network(fgi.neurons.BRF(), readout=fgi.neurons.LIF(), output='last', gain=2.0)",
    "fgi.grad",
    "fgi.testing.BOUNDS[0]",
    "fgi.testing.Subject('atan', fgi.surrogates.ATan())",
    "fgi.training.Settings('torch', 28, hidden=8, surrogate={'name': 'atan', 'alpha': 3.0})",
)


def changed(kind: type[Any]) -> str:
    """Its parameters, each other than the default."""
    words = []
    for name, range in kind._ranges:
        default = getattr(kind(), name)
        if "|" in range:
            value = range.split("|")[-1]
        elif range in ("integer", "count"):
            value = default + 1
        elif range == "unit":
            value = 0.25
        elif default in (float("inf"), float("-inf")):
            value = 3.0 if default > 0 else -3.0
        else:
            value = 1.5 * default or 0.5
        words.append(f"{name}={value!r}")
    return ", ".join(words)


def expressions() -> Iterator[str]:
    """What makes each object, in public names."""
    import fgi.training

    for name in sorted(fgi.surrogates.catalogue()):
        yield f"fgi.surrogates.{name}()"
        yield f"fgi.surrogates.{name}({changed(getattr(fgi.surrogates, name))})"
    needy = ("Bernoulli", "Compose", "Lookup", "Value")
    for name in fgi.values.__all__:
        kind = getattr(fgi.values, name)
        if isinstance(kind, type) and name not in needy:
            yield f"fgi.values.{name}()"
            yield f"fgi.values.{name}({changed(kind)})"
    for name in ("ALIF", "BRF", "LIF", "LeakyIntegrator", "RF", "SynapticLIF", "YinALIF"):
        yield f"fgi.neurons.{name}()"
        yield f"fgi.neurons.{name}({changed(getattr(fgi.neurons, name))})"
    yield from OTHERS


def sequences() -> Any:
    """Sequences that are the same numbers everywhere: (6 steps, sequences, 2 features)."""
    import fgi.data

    def part(count: int) -> Any:
        return np.sin(np.arange(6 * count * 2, dtype=np.float64) ** 2).reshape(6, count, 2)

    labels = np.arange(24) % 3
    return fgi.data.Sequences(part(24), labels, part(12), labels[:12], classes=3)


def settings() -> Any:
    import fgi.training

    return fgi.training.Settings(
        "torch", 6, hidden=4, epochs=3, batch=8, dtype="float64", neuron={"threshold": 0.2},
        surrogate={"name": "gaussian", "sigma": 0.7}, device="cpu",
    )  # fmt: skip


def parameters() -> dict[str, Any]:
    """What is in the files that ``fgi.save`` wrote."""
    return {
        "hidden0": {"input": np.arange(6, dtype="float32").reshape(2, 3), "bias": np.ones(3)},
        "readout": {"input": np.array([[0.5], [-0.25], [float("inf")]], "float16")},
    }


def check(journal: Path) -> Any:
    """A short ``fgi check``, whose finished rows are in ``journal``."""
    return fgi.testing.check(
        fgi.surrogates.ATan(), backends=["torch"], modes=["eager", "vmap(func.grad)"],
        dtypes=["float32", "float64"], journal=journal,
    )  # fmt: skip


def write() -> None:
    assert fgi.__version__ == VERSION
    FOLDER.mkdir(exist_ok=True)
    _write_paths()
    _write_objects()
    _write_torch()
    _write_training()
    for suffix in ("npz", "safetensors"):
        fgi.save(parameters(), FOLDER / f"parameters.{suffix}")
    (FOLDER / "journal.jsonl").unlink(missing_ok=True)
    check(FOLDER / "journal.jsonl")
    _write_keras()


def _write_paths() -> None:
    import torch  # noqa: F401, before TensorFlow

    import fgi_backends

    found: dict[str, list[str]] = {}
    for package in (fgi, fgi_backends):
        modules = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        for name in [package.__name__, *(module.name for module in modules)]:
            try:
                module = importlib.import_module(name)
            except ModuleNotFoundError:  # flax
                continue
            # The catalogue's modules have no __all__, and pickles name their classes.
            classes = [
                n for n, v in vars(module).items()
                if isinstance(v, type) and v.__module__ == name and not n.startswith("_")
            ]  # fmt: skip
            found[name] = list(getattr(module, "__all__", classes))
    (FOLDER / "paths.json").write_text(json.dumps(found, indent=1) + "\n")


def _write_objects() -> None:
    rows = []
    for expression in expressions():
        found = eval(expression, dict(NAMES))
        row = {"made_by": expression, "pickle": base64.b64encode(pickle.dumps(found, 4)).decode()}
        with contextlib.suppress(AttributeError, TypeError):  # it has none, or a function in it
            row["config"] = found.to_config()
        rows.append(row)
    text = ",\n".join(json.dumps(row) for row in rows)
    (FOLDER / "objects.json").write_text(f"[\n{text}\n]\n")


def torch_module() -> Any:
    """A module with a learned number, a learned tensor and one that is not learned."""
    import torch

    import fgi.torch

    alpha, scale = torch.tensor([2.0, 3.0]), torch.tensor(0.75)
    spike = fgi.surrogates.ATan(alpha=alpha, scale=scale, through="primitive")
    return torch.nn.Sequential(
        fgi.torch.Surrogate(spike, "alpha"),
        fgi.torch.Surrogate(fgi.surrogates.Gaussian(sigma=0.75), "sigma"),
    )


def _write_torch() -> None:
    import torch

    module = torch_module()
    torch.save(module, FOLDER / "module.pt")
    torch.save(module.state_dict(), FOLDER / "state.pt")
    spike = fgi.surrogates.Gaussian(sigma=torch.tensor([0.5, 2.0]), mu=torch.tensor(0.25))
    torch.save(spike, FOLDER / "surrogate.pt")


def keras_model() -> Any:
    """A surrogate as an activation, and one as a layer with a learned number."""
    import keras

    import fgi.keras

    spike = fgi.surrogates.Gaussian(sigma=0.75, forward=fgi.values.Heaviside(at_zero=1))
    layer = fgi.keras.Surrogate(fgi.surrogates.ATan(alpha=2.5, through="primitive"), "alpha")
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation=spike), layer])


def _write_keras() -> None:
    model = keras_model()
    (FOLDER / "keras.json").write_text(json.dumps(json.loads(model.to_json()), indent=1) + "\n")


def _write_training() -> None:
    import fgi.training

    data = sequences()
    run = fgi.training.train(settings(), data=data)
    parameters = fgi.convert(run.state.params, "numpy")
    fgi.save(parameters, FOLDER / "trained.npz")

    class Stopped(Exception):  # noqa: N818
        pass

    def stop(_: Any) -> None:
        raise Stopped

    try:
        fgi.training.train(settings(), data=data, folder=FOLDER, on_epoch=stop)
    except Stopped:
        assert len(fgi.training.Checkpoint.read(FOLDER).history) == 1
