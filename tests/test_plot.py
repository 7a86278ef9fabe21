"""Pictures: the right numbers, a range that shows them; and the gallery is the catalogue's."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgi
from support import frameworks

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

import scipy.special
from matplotlib.figure import Figure

from fgi.surrogates import (
    ATan,
    Exponential,
    ExponentialEscape,
    FastSigmoid,
    Gaussian,
    LeakyStep,
    PeriodicFastSigmoid,
    Rectangle,
    SquarewaveFourierSeries,
    StepPWL,
    StraightThrough,
    TanhSpike,
    description,
    gallery,
    plot,
)
from fgi.values.chance import Bernoulli
from fgi.values.rounding import Round
from fgi.values.shapes import Clip
from fgi.values.steps import Heaviside

DESCRIPTIONS = description.catalogue()
COMMITTED = Path(__file__).parents[1] / "docs" / "gallery"


def axes() -> Any:
    return Figure().subplots()


@fgi.surrogate
def hat(x: Any, width: float = 1.0) -> Any:
    xp = fgi.namespace(x)
    return xp.maximum(1 - abs(x) / width, xp.zeros_like(x))


def test_the_lines_are_value_slope_and_primitive() -> None:
    ax = axes()
    spike = Gaussian(sigma=0.5, height=2.0, mu=0.25, forward=Heaviside(threshold=0.5))
    assert spike.plot(ax=ax) is ax
    value, slope, primitive = ax.lines
    for line in ax.lines:
        assert np.all(np.diff(line.get_xdata()) > 0)
    np.testing.assert_array_equal(value.get_ydata(), value.get_xdata() > 0.5)
    z = (slope.get_xdata() - 0.25) / 0.5
    np.testing.assert_allclose(slope.get_ydata(), 2 * np.exp(-z * z / 2), rtol=1e-12)
    z = (primitive.get_xdata() - 0.25) / 0.5
    area = 2 * 0.5 * np.sqrt(2 * np.pi)
    np.testing.assert_allclose(primitive.get_ydata(), area * scipy.special.ndtr(z), rtol=1e-12)
    name = "Gaussian(sigma=0.5, height=2, mu=0.25, forward=Heaviside(threshold=0.5))"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [f"{name} {c}" for c in ("value f(x)", "slope g'(x)", "primitive g(x)")]
    assert ax.get_xlabel() == "x"


@pytest.mark.parametrize("d", DESCRIPTIONS, ids=lambda d: d.class_name)
def test_every_surrogate_can_be_drawn(d: Any) -> None:
    ax = axes()
    spike = d.definition()
    spike.plot(ax=ax)
    names = [line.get_label().split()[-2] for line in ax.lines]
    assert names[:2] == ["value", "slope"]
    assert names[2:] == ["primitive"] * plot.has_primitive(spike)
    low, high = ax.get_xlim()
    assert low < high
    for line in ax.lines:
        assert np.all(np.isfinite(line.get_ydata()))
        assert (line.get_xdata()[0], line.get_xdata()[-1]) == (low, high)


def test_only_the_curves_that_are_asked_for_and_how_they_look() -> None:
    ax = axes()
    ATan().plot("slope", ax=ax, x=(-0.5, 3), label="mine", color="C7", linestyle="--")
    FastSigmoid().plot("primitive", "slope", ax=ax, x=(-0.5, 3), label="theirs")
    ATan().plot("slope", ax=ax, label="")
    first, *others, last = ax.lines
    assert (first.get_color(), first.get_linestyle()) == ("C7", "--")
    assert first.get_xdata()[[0, -1]].tolist() == [-0.5, 3]
    assert first.get_label() == "mine"
    assert [o.get_label() for o in others] == ["theirs primitive g(x)", "theirs slope g'(x)"]
    assert len({o.get_color() for o in others}) == 2
    assert len(ax.get_legend().get_texts()) == 3
    assert not last.get_label()


@pytest.mark.parametrize(
    ("spike", "inside", "width"),
    [
        (Gaussian(), (-2, 2), (5, 9)),
        (Gaussian(sigma=0.01, mu=5.0, forward=Heaviside(threshold=5.0)), (4.98, 5.02), (0.05, 0.1)),
        (Gaussian(sigma=0.01, mu=5.0), (0, 5.02), (5.1, 8)),  # the value has its step at 0
        (FastSigmoid(alpha=100.0), (-0.02, 0.02), (0.04, 0.15)),
        (fgi.surrogates.Reciprocal(alpha=100.0), (-0.05, 0.05), (0.1, 0.4)),  # never integrable
        (Rectangle(low=2.0, high=3.0, forward=Heaviside(threshold=2.5)), (1.9, 3.1), (1.2, 2)),
        (StraightThrough(), (-0.99, 0.99), (1.99, 2.01)),  # constant: nothing but the step
        (StraightThrough(forward=Round(step=0.25)), (-1, 1), (2, 6)),
        (StraightThrough(forward=Clip(-3.0, 4.0)), (-3.1, 4.1), (8, 14)),
        (LeakyStep(shift=5.0, forward=Heaviside(threshold=5.0)), (4.1, 5.9), (1.99, 2.01)),
        (LeakyStep(shift=0.5, forward=Heaviside(threshold=1.0)), (0.41, 1.09), (0.6, 1.5)),
        (TanhSpike(beta=100.0), (-0.02, 0.02), (0.04, 0.15)),  # settles at 1, not at 0
        (SquarewaveFourierSeries(n=1, period=8.0), (-8, 8), (16, 40)),
        (StepPWL(maximum=2.0**16), (0.4, 3), (4, 15)),
        (PeriodicFastSigmoid(), (0, 5), (6, 16)),
        (ExponentialEscape(rate=0.01, width=1e-3), (-1e-3, 1e-3), (2e-3, 20e-3)),
        (hat(width=1e-4), (-1e-4, 1e-4), (2e-4, 4e-4)),
    ],
    ids=str,
)
def test_the_range_is_where_something_happens(spike: Any, inside: Any, width: Any) -> None:
    low, high = plot.interesting_range(spike)
    assert low <= inside[0]
    assert inside[1] <= high
    assert width[0] <= high - low <= width[1]


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1e2, 1e4])
def test_the_range_scales_with_the_surrogate(scale: float) -> None:
    for spike, other in (
        (ATan(), ATan(alpha=2 / scale)),
        (Exponential(), Exponential(tau=scale)),
        (Gaussian(), Gaussian(sigma=scale, height=1 / scale)),
    ):
        expected = scale * np.array(plot.interesting_range(spike))
        np.testing.assert_allclose(plot.interesting_range(other), expected, rtol=0.15)


def test_the_range_of_several_is_that_of_all() -> None:
    ax = axes()
    plot.draw([("a", Gaussian()), ("b", Gaussian(mu=20.0))], ["slope"], None, ax)
    low, high = ax.get_xlim()
    assert low < -2
    assert high > 22


def test_narrow_peaks_and_jumps_are_not_missed() -> None:
    ax = axes()
    PeriodicFastSigmoid(beta=1000.0).plot("slope", ax=ax, x=(-1.3, 9.7))
    x, y = ax.lines[0].get_data()
    for peak in range(10):
        assert y[abs(x - peak) < 0.1].max() > 0.97
    ax = axes()
    Gaussian(sigma=1e-3, mu=5.0).plot("slope", ax=ax, x=(-10, 10))
    assert ax.lines[0].get_ydata().max() > 0.999
    ax = axes()
    StraightThrough(forward=Round(step=1 / 3)).plot("value", ax=ax, x=(-1, 1))
    x, y = ax.lines[0].get_data()
    rises = np.flatnonzero(np.diff(y))
    assert len(rises) == 6
    assert np.all(np.diff(x)[rises] < 1e-4)


def test_what_is_random_is_drawn_as_its_mean() -> None:
    ax = axes()
    StraightThrough(forward=Bernoulli()).plot("value", ax=ax, x=(-1, 2))
    x, y = ax.lines[0].get_data()
    np.testing.assert_allclose(y, np.clip(x, 0, 1), atol=1 / 256)
    assert ax.lines[0].get_label().endswith("mean value f(x)")


@pytest.mark.parametrize("framework", frameworks.INSTALLED)
def test_array_parameters_make_a_line_for_each_number(framework: str) -> None:
    alpha = frameworks.to_framework(framework, np.array([1.0, 3.0], np.float32))
    at_zero = frameworks.to_framework(framework, np.array(0.5))
    ax = axes()
    ATan(alpha=alpha, forward=Heaviside(at_zero=at_zero)).plot("value", "slope", ax=ax, x=(-1, 1))
    values, slopes = ax.lines[:2], ax.lines[2:]
    for line in values:
        assert line.get_ydata()[line.get_xdata() == 0].tolist() == [0.5]
    for line, a in zip(slopes, (1, 3), strict=True):
        expected = a / 2 / (1 + (np.pi / 2 * a * line.get_xdata()) ** 2)
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-12)
    assert len(ax.get_legend().get_texts()) == 2


@pytest.mark.skipif("torch" not in frameworks.INSTALLED, reason="torch is not installed")
def test_a_parameter_being_learned_and_another_backend_chosen() -> None:
    torch = frameworks.load("torch")
    alpha = torch.tensor(3.0, requires_grad=True)
    ax = axes()
    with fgi.use_backend("torch"):
        ATan(alpha=alpha).plot("slope", ax=ax)
        assert fgi.get_backend() == "torch"
    assert ax.lines[0].get_ydata().max() == 1.5
    assert ax.lines[0].get_label() == "ATan(alpha=3) slope g'(x)"


def test_errors_say_what_to_write() -> None:
    ax = axes()
    with pytest.raises(ValueError, match=r"'height' is no curve; .* value, slope, primitive"):
        ATan().plot("height", ax=ax)
    for x in ((2, -2), (0, 0), (0, np.inf), (np.nan, 1), (1, 2, 3)):
        with pytest.raises(ValueError, match=r"expected a range such as \(-2, 2\)"):
            ATan().plot(ax=ax, x=x)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="hat has no primitive in closed form"):
        hat().plot("primitive", ax=ax)
    assert not ax.lines


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fgi.surrogates.plot")
    monkeypatch.delattr(fgi.surrogates, "plot")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for use in (lambda: ATan().plot(), lambda: gallery.write(Path("nowhere"))):
        with pytest.raises(ImportError, match=r"needs matplotlib.*pip install 'fgi\[plot\]'"):
            use()


def test_pyplot_is_used_only_where_no_axes_are_given() -> None:
    code = (
        "import sys, fgi\n"
        "from matplotlib.figure import Figure\n"
        "fgi.surrogates.ATan().plot(ax=Figure().subplots())\n"
        "print('matplotlib.pyplot' in sys.modules)\n"
        "ax = fgi.surrogates.ATan().plot('slope')\n"
        "from matplotlib import pyplot\n"
        "print(ax is pyplot.gca(), fgi.surrogates.ATan().plot() is ax, len(ax.lines))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "MPLBACKEND")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "True", "True", "4"]


@pytest.mark.parametrize("suffix", plot.FORMATS)
def test_the_same_picture_is_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    for name in ("a", "b"):
        with plot.own_style():
            figure = Figure(figsize=(3, 2))
            ATan().plot(ax=figure.subplots())
            plot.save(figure, tmp_path / "new" / f"{name}{suffix}")
    a, b = ((tmp_path / "new" / f"{name}{suffix}").read_bytes() for name in ("a", "b"))
    assert a == b
    assert len(a) > 1000
    assert dict(mpl.rcParams) == before


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gallery, made now."""
    folder = tmp_path_factory.mktemp("gallery")
    written = gallery.write(folder)
    assert set(written) == set(folder.iterdir())
    return folder


def test_the_committed_gallery_is_that_of_the_definitions(fresh: Path) -> None:
    """Where this fails: make gallery."""
    committed = {path.name: path.read_bytes() for path in COMMITTED.iterdir()}
    made = {path.name: path.read_bytes() for path in fresh.iterdir()}
    assert set(made) == set(committed), "run make gallery"
    assert made["README.md"].decode() == committed["README.md"].decode(), "run make gallery"

    def matplotlib(picture: bytes) -> Any:
        return re.findall(rb"Matplotlib v[\d.]+", picture)

    for name in set(made) - {"README.md"}:
        # Another version draws in other strokes; the numbers are not what has changed then.
        if matplotlib(made[name]) == matplotlib(committed[name]):
            assert made[name] == committed[name], f"{name}: run make gallery"


def test_the_gallery_is_small(fresh: Path) -> None:
    assert sum(path.stat().st_size for path in fresh.iterdir()) < 2e6


def test_the_gallery_says_all_that_the_definitions_say(fresh: Path) -> None:
    text = (fresh / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    assert len(headings) == len({h.lower() for h in headings})
    assert set(headings) == set(fgi.surrogates.groups()) | {d.class_name for d in DESCRIPTIONS}
    entries = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    for name, definition in fgi.surrogates.catalogue().items():
        if name.startswith("_"):
            continue
        entry = " ".join(entries[name].split())
        doc = inspect.cleandoc(definition.__doc__ or "")
        for line in doc.replace("``", "`").splitlines():
            if "arXiv" not in line and "doi:" not in line and "github" not in line:
                assert " ".join(line.split()) in entry
        for word in (f"({definition.name}.svg)", *(f"`{p}`" for p in definition._names)):
            assert word in entry or word.strip("`") in definition._keywords
        for preset in definition.presets:
            assert f"`{preset}(" in entry


def test_the_links_of_the_gallery_lead_somewhere(fresh: Path) -> None:
    text = (fresh / "README.md").read_text(encoding="utf-8")
    anchors = {h.lower() for h in re.findall(r"^##+ (.*)$", text, re.MULTILINE)}
    links = re.findall(r"\]\(([^)]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    assert links
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors
        elif not link.startswith("https://"):
            assert (COMMITTED / link).exists(), link
