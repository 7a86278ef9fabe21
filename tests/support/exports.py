"""Every way out of a framework into a file, and what of a surrogate comes back: docs/export.md.

``cd tests && python -m support.exports`` writes what is found into the page.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

import fgi

from . import frameworks

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
HEAD = ("framework", "written", "graph", "value", "gradient", "second", "native gradient")
MARK = "<!-- what survives -->\n"
NEEDS = {"torch.onnx.export": ("onnx", "onnxruntime", "onnxscript")}

SIGMA = 0.5
SPIKE = fgi.surrogates.Gaussian(sigma=SIGMA, order=2)
X = np.array([-1.25, -0.375, 0.625, 2.0], np.float32)
U = np.array([2.0, -1.0, 4.0, 0.5], np.float32)

Function: TypeAlias = Callable[[Any], Any]


class Back(NamedTuple):
    """What was read again: a function of an array, and the operations it is made of."""

    call: Function
    operations: list[str]


Way: TypeAlias = Callable[[Function, Any], Back]
"""Exports a function for arrays like this one, and reads it again."""

to_infer = partial(fgi.inference_mode, traced=True)


def within(context: Callable[[], AbstractContextManager[Any]], way: Way) -> Way:
    def inside(f: Function, x: Any) -> Back:
        with context():
            return way(f, x)

    return inside


exporting = partial(fgi.inference_mode, traced=True)


def torch_ways() -> Mapping[str, Way]:
    import torch

    from fgi_backends.torch import inject
    from fgi_backends.torch.measure import modes

    def named(graph: Any) -> list[str]:
        return [str(node.target) for node in graph.nodes if node.op == "call_function"]

    def program(change: Callable[[Any], Any]) -> Way:
        def way(f: Function, x: Any) -> Back:
            made = change(torch.export.export(modes.Module(f), (x,)))
            return Back(made.module(), named(made.graph))

        return way

    def stored(program: Any) -> Any:
        file = io.BytesIO()
        torch.export.save(program, file)
        file.seek(0)
        return torch.export.load(file)

    def table() -> Any:
        found = torch.export.default_decompositions()
        found.pop(torch.ops.aten.detach.default)
        return found

    def traced(f: Function, x: Any) -> Back:
        back = modes.saved(modes.traced(f, x))
        return Back(back, [node.kind() for node in back.graph.nodes()])

    def scripted(f: Any, x: Any) -> Back:
        if f is SPIKE:
            back = modes.scripted(modes.saved)(f)
            return Back(back, [node.kind() for node in torch.jit.script(inject).graph.nodes()])
        back = modes.saved(torch.jit.script(f))
        return Back(back, [node.kind() for node in back.graph.nodes()])

    def onnx(f: Function, x: Any) -> Back:
        import onnxruntime

        made = torch.onnx.export(modes.Module(f), (x,), dynamo=True, verbose=False)
        assert made is not None
        session = onnxruntime.InferenceSession(made.model_proto.SerializeToString())
        (argument,) = session.get_inputs()

        def call(x: Any) -> Any:
            return session.run(None, {argument.name: x.detach().numpy()})[0]

        return Back(call, [node.op_type for node in made.model_proto.graph.node])

    whole = program(lambda p: p)
    return {
        "`torch.export.export`": whole,
        "`torch.export.export`, saved and loaded": program(stored),
        "`torch.export.export`, then `run_decompositions()`": program(
            lambda p: p.run_decompositions()
        ),
        "`torch.export.export`, then `run_decompositions(table)`": program(
            lambda p: p.run_decompositions(table())
        ),
        "`torch.export.export` in `torch.no_grad()`": within(torch.no_grad, whole),
        "`torch.jit.trace`, saved and loaded": traced,
        "`torch.jit.trace` in `fgi.inference_mode(traced=True)`, saved and loaded": within(
            exporting, traced
        ),
        "`torch.jit.script(fgi_backends.torch.inject)`, saved and loaded": scripted,
        "`torch.onnx.export`": onnx,
        "`torch.onnx.export` in `torch.no_grad()`": within(torch.no_grad, onnx),
    }


def jax_ways() -> Mapping[str, Way]:
    import jax
    from jax import export

    from fgi_backends.jax.measure import modes

    def exported(vjp_order: int) -> Way:
        def way(f: Function, x: Any) -> Back:
            # A function of its own: jax.jit shares what it has traced by the identity of f.
            again = lambda x: f(x)  # noqa: E731
            text = export.export(jax.jit(again))(x).mlir_module()
            return Back(modes.exported(again, x, vjp_order), re.findall(r"= \"?(\w+\.\w+)", text))

        return way

    return {
        "`jax.export`, `serialize()`": exported(0),
        "`jax.export`, `serialize(vjp_order=1)`": exported(1),
        "`jax.export`, `serialize(vjp_order=2)`": exported(2),
        "`jax.export` in `fgi.inference_mode(traced=True)`, `serialize()`": within(
            exporting, exported(0)
        ),
    }


def tensorflow_ways() -> Mapping[str, Way]:
    import tensorflow as tf

    from fgi_backends.tensorflow.measure import modes

    def named(function: Any, x: Any) -> list[str]:
        graph = tf.function(function).get_concrete_function(x).graph.as_graph_def()
        nodes = [node.op for part in graph.library.function for node in part.node_def]
        # In the order of the functions' names, which have numbers in them; of a set therefore.
        return sorted(name for name in nodes if name not in ("Const", "Identity", "NoOp"))

    def saved(f: Function, x: Any) -> Back:
        back = modes.saved(f, x)
        return Back(back, named(back, x))

    def lite(f: Function, x: Any) -> Back:
        function = tf.function(
            lambda x: f(x), input_signature=[tf.TensorSpec(x.shape, x.dtype)], autograph=False
        ).get_concrete_function()
        model = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
        runner = tf.lite.Interpreter(model_content=model)
        runner.allocate_tensors()
        (argument,), (result,) = runner.get_input_details(), runner.get_output_details()

        def call(x: Any) -> Any:
            runner.set_tensor(argument["index"], x.numpy())
            runner.invoke()
            return runner.get_tensor(result["index"])

        names = [each["op_name"] for each in runner._get_ops_details()]
        return Back(call, [name for name in names if name != "DELEGATE"])

    return {
        "`tf.saved_model.save`, loaded": saved,
        "`tf.saved_model.save` in `fgi.inference_mode(traced=True)`, loaded": within(
            exporting, saved
        ),
        "`tf.lite.TFLiteConverter`": lite,
        "`tf.lite.TFLiteConverter` in `fgi.inference_mode(traced=True)`": within(exporting, lite),
    }


WAYS: Mapping[str, Callable[[], Mapping[str, Way]]] = {
    "torch": torch_ways,
    "jax": jax_ways,
    "tensorflow": tensorflow_ways,
}


@contextmanager
def quiet() -> Iterator[None]:
    """What exporters say about themselves is not the test's."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def missing(written: str) -> str | None:
    """A package that this way needs and that is not installed."""
    wanted = [names for key, names in NEEDS.items() if key in written]
    return next((name for names in wanted for name in names if find_spec(name) is None), None)


def derivative(framework: str, g: Function, u: Any) -> Function:
    """u * g'(x), differentiable where the framework can; None where it knows of no derivative."""
    if framework == "torch":
        import torch

        def by_x(x: Any) -> Any:
            y = g(x)
            if not isinstance(y, torch.Tensor) or not y.requires_grad:
                return None
            return torch.autograd.grad(y, x, u, create_graph=True)[0]

    elif framework == "jax":
        import jax

        def by_x(x: Any) -> Any:
            try:
                return jax.vjp(g, x)[1](u)[0]
            except ValueError as error:
                if "No VJP is available" not in str(error):
                    raise
                return None

    else:
        import tensorflow as tf

        def by_x(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = g(x)
            return tape.gradient(y, x, u) if tf.is_tensor(y) else None

    return by_x


@np.errstate(under="ignore")
def word(framework: str, found: Any, expected: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Which of the numbers it is."""
    if found is None:
        return "none"
    got = np.asarray(
        found if isinstance(found, np.ndarray) else frameworks.to_numpy(framework, found)
    )
    near = [name for name, y in expected.items() if np.allclose(got, y, rtol=1e-5, atol=1e-9)]
    return near[0] if near else f"wrong: {got}"


def row(framework: str, written: str) -> tuple[str, ...]:
    """One row of the page, found out."""
    way = WAYS[framework]()[written]
    x, u = (frameworks.to_framework(framework, a) for a in (X, U))
    wide = X.astype(np.float64)
    g1 = U * np.exp(-0.5 * (wide / SIGMA) ** 2)
    values = {"f": (X > 0).astype(float)}
    slopes = {"g'": g1, "0": 0 * g1}
    seconds = {"g''": -U * wide / SIGMA**2 * g1, "0": 0 * g1}
    xp = frameworks.backend(framework)

    def step(x: Any) -> Any:
        return xp.astype(xp.stop_gradient(x) > 0, x.dtype)

    with quiet():
        by_hand = way(step, x) if "script" not in written else None
        back = way(SPIKE, x)
        if framework == "torch":
            x.requires_grad_()
        slope = derivative(framework, back.call, u)
        for _ in range(3):  # TorchScript makes another program of it at the second call
            first = slope(x)
        second = None if first is None else derivative(framework, slope, u)(x)
        try:
            native = derivative(framework, way(SPIKE.native(), x).call, u)(x)
            theirs = word(framework, native, slopes)
        except Exception:
            theirs = "error"
    alone = by_hand is not None and back.operations == by_hand.operations
    return (
        framework,
        written,
        "f" if alone else "f, g'",
        word(framework, back.call(x), values),
        word(framework, first, slopes),
        word(framework, second, seconds),
        theirs,
    )


def table(rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(HEAD) + " |", "| --- " * len(HEAD) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(cells) + " |" for cells in rows), ""])


def on_page() -> list[tuple[str, ...]]:
    """The rows that the page has."""
    _, _, *rows = PAGE.read_text().split(MARK)[1].strip().splitlines()
    return [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in rows]


if __name__ == "__main__":
    before, _, after = PAGE.read_text().split(MARK)
    rows = [row(name, written) for name, ways in WAYS.items() for written in ways()]
    PAGE.write_text(f"{before}{MARK}{table(rows)}{MARK}{after}")
