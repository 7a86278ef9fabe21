"""A preset in the place of a library's own surrogate, in the unmodified library.

docs/inside_other_libraries.md says what works with which; each cell of its tables is run here, the
half that fails as well, and each of its programs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fgi.surrogates import preset
from support import frameworks
from support.pages import Block, blocks, links, run

Library = Callable[[str], Any]

PAGE = Path(__file__).parents[1] / "docs/inside_other_libraries.md"
TEXT = PAGE.read_text()
BLOCKS = blocks(TEXT)

peers = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
TORCH = ("spikingjelly", "snntorch", "sinabs")

OWN = {
    "spikingjelly": ("spikingjelly.activation_based.surrogate", "ATan", {"alpha": 3.0}),
    "snntorch": ("snntorch.surrogate", "atan", {"alpha": 3.0}),
    "sinabs": ("sinabs.activation", "Gaussian", {"sigma": 0.4}),
    "spyx": ("spyx.axn", "arctan", {"k": 3}),
}
"""Where a library has a surrogate, and the parameters that the preset takes as well."""
PRESETS = {
    "spikingjelly": "spikingjelly.ATan", "snntorch": "snntorch.atan", "spyx": "spyx.arctan",
    "sinabs": "sinabs.SingleSpike+Gaussian",
}  # fmt: skip


def makers(name: str, library: Library) -> dict[str, Callable[[], Any]]:
    """What makes the library's own surrogate, and what makes the preset."""
    module, attribute, parameters = OWN[name]
    own = getattr(library(module), attribute)
    # Of the distance from the threshold, as in the other libraries.
    more = {"threshold": 0.0} if name == "sinabs" else {}
    return {
        "own": partial(own, **parameters),
        "fgi": partial(preset, PRESETS[name], **parameters, **more),
    }


def cells(table: str) -> list[tuple[str, str, str]]:
    """Library, row and words of each cell."""
    lines = TEXT.partition(f"<!-- {table} -->\n")[2].partition("<!-- /")[0].splitlines()
    head, _, *rows = ([c.strip() for c in line.strip("|").split("|")] for line in lines)
    return [(name, row[0], c) for row in rows for name, c in zip(head[1:], row[1:], strict=True)]


def words(attempts: dict[str, Callable[[], None]]) -> str:
    """What a cell says: the library's own first."""
    found = {}
    for who, attempt in attempts.items():
        try:
            attempt()
        except Exception as error:
            print(who, type(error).__name__, error)  # pytest shows it where a test fails
            found[who] = "no"
        else:
            found[who] = "yes"
    return " → ".join(dict.fromkeys([found["own"], found["fgi"]]))


class TestTorch:
    pytestmark = peers

    @pytest.mark.parametrize("name", TORCH)
    def test_forward_and_gradients_are_the_library_s_own(self, name: str, library: Library) -> None:
        library("torch")
        from support import inside_torch as inside

        made = {who: make() for who, make in makers(name, library).items()}
        own, ours = (inside.numbers(inside.net(name, spike)) for spike in made.values())
        assert 0 < own["y"].mean() < 1
        assert own["linear.weight"].abs().min() > 0
        assert set(ours) == {"y", "dx", "linear.weight", "linear.bias"}
        inside.close(ours, own)
        assert bool((ours["y"] == own["y"]).all())

    @pytest.mark.parametrize("name", TORCH)
    def test_training_is_the_same(self, name: str, library: Library) -> None:
        library("torch")
        from support import inside_torch as inside

        made = {who: make() for who, make in makers(name, library).items()}
        (_, own), (losses, ours) = (inside.train(name, spike) for spike in made.values())
        assert losses[-1] < losses[0]
        inside.close({"weight": ours}, {"weight": own})

    @pytest.mark.parametrize(("name", "row", "cell"), cells("torch"))
    def test_a_cell(self, name: str, row: str, cell: str, library: Library) -> None:
        library("torch")
        from support import inside_torch as inside

        made = {who: make() for who, make in makers(name, library).items()}
        wanted = inside.numbers(inside.net(name, made["own"]))

        def attempt(spike: Any) -> None:
            inside.ROWS[row](inside.net(name, spike), wanted)

        assert words({who: partial(attempt, spike) for who, spike in made.items()}) == cell

    def test_the_rows_are_these(self, library: Library) -> None:
        library("torch")
        from support import inside_torch as inside

        assert {(name, row) for name, row, _ in cells("torch")} == {
            (name, row) for name in TORCH for row in inside.ROWS
        }


class TestSpyx:
    pytestmark = peers

    def test_forward_and_gradients_are_the_library_s_own(self, library: Library) -> None:
        library("spyx")
        frameworks.load("jax")
        from support import inside_spyx as inside

        own, ours = (inside.numbers(inside.Net(m())) for m in makers("spyx", library).values())
        assert 0 < own["y"].mean() < 1
        assert abs(own["kernel"]).min() > 0
        inside.close(ours, own)
        assert bool((ours["y"] == own["y"]).all())

    def test_training_is_the_same(self, library: Library) -> None:
        library("spyx")
        frameworks.load("jax")
        from support import inside_spyx as inside

        (_, own), (losses, ours) = (inside.train(m()) for m in makers("spyx", library).values())
        assert losses[-1] < losses[0]
        inside.close({"kernel": ours}, {"kernel": own})

    @pytest.mark.parametrize(("name", "row", "cell"), cells("jax"))
    def test_a_cell(self, name: str, row: str, cell: str, library: Library) -> None:
        library("spyx")
        frameworks.load("jax")
        from support import inside_spyx as inside

        made = makers(name, library)
        wanted = inside.numbers(inside.Net(made["own"]()))

        def attempt(make: Callable[[], Any]) -> None:
            inside.ROWS[row](inside.Net(make()), make, wanted)

        assert words({who: partial(attempt, make) for who, make in made.items()}) == cell

    def test_the_rows_are_these(self, library: Library) -> None:
        library("spyx")
        from support import inside_spyx as inside

        assert [(name, row) for name, row, _ in cells("jax")] == [
            ("spyx", row) for row in inside.ROWS
        ]


def program(name: str) -> Block:
    """The page's program that imports the library."""
    (found,) = (block for block in BLOCKS if name in block.imported)
    return found


@pytest.mark.peers
@pytest.mark.parametrize("name", list(OWN))
def test_a_program_prints_what_it_says(name: str, library: Library) -> None:
    if find_spec(name) is None:
        library(name)
    code, expected = program(name)
    assert run([code]) == [expected]


FOREIGN = """
import torch

class Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, u):
        (x,) = ctx.saved_tensors
        return u / (1 + (torch.pi * x) ** 2)

def model(activation):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, activation=activation)])

def numbers(model):
    x = torch.linspace(-1, 1, 10).reshape(5, 2).requires_grad_()
    y = model(x)
    (y * torch.linspace(-2, 3, 40).reshape(5, 8)).sum().backward()
    return y.detach(), x.grad, model.layers[0].kernel.value.grad

def stored(model):
    with tempfile.TemporaryDirectory() as folder:
        try:
            model.save(f"{folder}/m.keras")
            loaded = keras.models.load_model(f"{folder}/m.keras")
        except Exception as error:
            return type(error).__name__
        return all(torch.equal(a, b) for a, b in zip(numbers(model), numbers(loaded)))

made = [model(a) for a in (lambda x: Function.apply(x), fgi.surrogates.ATan(alpha=2.0))]
own, ours = map(numbers, made)
print(*(bool(torch.allclose(a, b, rtol=1e-6)) for a, b in zip(own, ours)))
print(0 < float(own[0].mean()) < 1)
for each in made:
    for parameter in each.parameters():
        parameter.grad = None
print(*map(stored, made))
"""


def test_keras_has_the_numbers_of_a_custom_gradient_and_stores_what_that_does_not() -> None:
    for name in ("keras", "torch"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    code, expected = program("keras")
    # In one process, as loading Keras takes longest.
    (printed,) = run([code + FOREIGN])
    assert printed.startswith(expected)
    equal, fires, files = printed.removeprefix(expected).splitlines()
    assert equal == "True True True"
    assert fires == "True"
    own, ours = files.split()
    assert own not in ("True", "False")
    assert ours == "True"


def test_every_library_has_a_program_and_each_link_a_file() -> None:
    assert len(BLOCKS) == len([program(name) for name in (*OWN, "keras")])
    for link in links(TEXT):
        assert (PAGE.parent / link).exists(), link
