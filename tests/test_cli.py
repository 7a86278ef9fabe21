"""The command line: what is listed, shown and drawn, and what is said about what is not."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

import fgi
from support import frameworks

pytest.importorskip("typer", reason="the command line needs typer")

from typer.testing import CliRunner

from fgi.cli import app
from fgi.cli.shell import surrogate
from fgi.surrogates import ATan, FastSigmoid, Gaussian, QPseudoSpike, StepPWL
from fgi.values.steps import GradedSpike, Heaviside, Sign, binary

if "numpy" not in frameworks.INSTALLED:
    pytest.skip("pictures need NumPy", allow_module_level=True)

CATALOGUE = [d for n, d in fgi.surrogates.catalogue().items() if not n.startswith("_")]
PRESETS = fgi.surrogates.presets()


def run(*arguments: str) -> tuple[int, str]:
    """The exit status, and what is printed, on both streams, without the frames around it."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.output).split())


def strict(text: str) -> Any:
    """JSON as its standard has it, which has no infinities."""

    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def test_help_names_every_command_in_one_sentence() -> None:
    status, text = run("--help")
    assert status == 0
    for command in ("demo", "list", "show", "plot", "gallery"):
        assert f" {command} " in text
    for command in ("list", "show", "plot", "gallery"):
        assert run(command, "--help")[0] == 0


# The list


def test_the_list_has_every_surrogate_and_fits_the_screen() -> None:
    output = CliRunner().invoke(app, ["list"]).output
    assert max(len(line) for line in output.splitlines()) <= 100
    words = re.split(r"[\s,]+", output)
    for definition in CATALOGUE:
        assert definition.__name__ in words
        assert definition.name in words
        for preset in definition.presets:
            assert preset.partition(".")[0] in words
    for group in fgi.surrogates.groups():
        assert group in words
    assert f"{len(CATALOGUE)} of {len(CATALOGUE)} surrogates" in " ".join(output.split())
    assert "alpha=25.0, height=1.0" in output


def test_the_list_of_a_group() -> None:
    status, text = run("list", "--group", "spike_counts")
    assert status == 0
    for definition in CATALOGUE:
        inside = definition.group == "spike_counts"
        assert (f" {definition.__name__} " in text) == inside


@pytest.mark.parametrize(
    ("text", "there", "not_there"),
    [
        ("SUPERspike", {"FastSigmoid", "Reciprocal"}, {"Gaussian", "ATan"}),  # a library's name
        ("fast_sig", {"FastSigmoid", "SparseFastSigmoid"}, {"Gaussian", "ATan"}),  # ours
        ("arctangent", {"ATan"}, {"FastSigmoid", "Gaussian"}),  # the docstring
    ],
)
def test_the_list_of_what_has_a_text(text: str, there: set[str], not_there: set[str]) -> None:
    status, output = run("list", text)
    assert status == 0
    assert there <= set(output.split())
    assert not not_there & set(output.split())


def test_the_list_for_programs() -> None:
    done = CliRunner().invoke(app, ["list", "--json"])
    listed = strict(done.output)
    assert [entry["class"] for entry in listed] == [c.__name__ for c in CATALOGUE]
    for entry in listed:
        spike = fgi.from_config({"name": entry["name"]})
        for parameter in entry["parameters"]:
            default, value = parameter["default"], getattr(spike, parameter["name"])
            if isinstance(value, float):
                default = float(default)
            assert isinstance(value, fgi.values.Value) or default == value
        assert {parameter["name"] for parameter in entry["parameters"]} == {
            name for name in spike.parameters if name not in spike._keywords
        }
        assert entry["random"] == spike._is_random
        assert {p["name"] for p in entry["presets"]} == set(type(spike).presets)
    (step,) = (entry for entry in listed if entry["class"] == "StepPWL")
    assert step["group"] == "spike_counts"
    assert step["primitive"] is True
    assert {"name": "threshold", "default": 1.0, "range": "a number > 0", "learnable": True} in (
        step["parameters"]
    )
    assert {"default": "inf"}.items() <= step["parameters"][-1].items()
    assert any(line.startswith("g'(x) = ") for line in step["equations"])


def test_the_mapping_of_a_library() -> None:
    output = CliRunner().invoke(app, ["list", "--library", "spikingjelly"]).output
    assert max(len(line) for line in output.splitlines()) <= 100
    text = " ".join(output.split())
    for name in PRESETS:
        assert (f"{name}(" in text) == name.startswith("spikingjelly.")
    assert "spikingjelly.ATan(alpha=2.0) ATan(forward=Heaviside(at_zero=1))" in text
    assert "fgi.surrogates.preset(" in text


def test_a_parameter_without_a_default_is_1_in_the_mapping() -> None:
    _, text = run("list", "--library", "norse", "tanh")
    assert "norse.tanh(k) Sigmoid(alpha=2, scale=2) at k=1" in text


@pytest.mark.parametrize(
    ("name", "libraries"),
    [
        ("SpikingJelly", {"spikingjelly"}),
        ("lava-dl", {"lava_dl"}),
        ("rockpool", {"rockpool_torch", "rockpool_jax"}),  # what begins so
        ("norse", {"norse"}),  # but the very name, where it is one
        ("all", {name.partition(".")[0] for name in PRESETS}),
    ],
)
def test_a_library_by_the_name_that_people_use(name: str, libraries: set[str]) -> None:
    done = CliRunner().invoke(app, ["list", "--library", name, "--json"])
    mapping = strict(done.output)
    assert {row["name"].partition(".")[0] for row in mapping} == libraries
    assert {row["name"] for row in mapping} == {
        name for name in PRESETS if name.partition(".")[0] in libraries
    }
    for row in mapping:
        made = PRESETS[row["name"]](**dict.fromkeys(row["required"], 1))
        assert type(made).__name__ == row["surrogate"].partition("(")[0]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["gausian"], 1, "nothing has 'gausian'; did you mean gaussian"),
        (
            ["--group", "spike_counts", "arctangent"],
            1,
            "nothing of the group spike_counts has 'arctangent'",
        ),
        (["--library", "norse", "arctangent"], 1, "nothing of norse has 'arctangent'"),
        (["--library", "norse", "--group", "spike_counts"], 1, "nothing of norse; "),
        (["--group", "spikes"], 2, "spikes; expected one of"),
        (["--library", "spikingjely"], 2, "did you mean spikingjelly?"),
    ],
)
def test_an_empty_list_says_so(arguments: list[str], status: int, said: str) -> None:
    got, text = run("list", *arguments)
    assert (got, said in text) == (status, True), text


# One of them


@pytest.mark.parametrize("name", ["fast_sigmoid", "FastSigmoid", "snntorch.fast_sigmoid"])
def test_show(name: str) -> None:
    status, text = run("show", name)
    assert status == 0
    for said in (
        "FastSigmoid, fast_sigmoid (cusps)",
        "g'(x) = height / (1 + alpha * abs(x))**2",
        "alpha 25.0 a number > 0",
        "Source: Zenke and Ganguli 2018",
        "snntorch.fast_sigmoid(slope=25) FastSigmoid()",
    ):
        assert said in text
    assert "`" not in text


@pytest.mark.parametrize("definition", CATALOGUE, ids=lambda d: d.__name__)
def test_show_knows_each(definition: type[fgi.Surrogate]) -> None:
    status, text = run("show", definition.name)
    assert status == 0
    assert "= " in text
    for parameter in definition._names:
        assert parameter in definition._keywords or f" {parameter}" in text


def test_show_what_is_not_there() -> None:
    status, text = run("show", "snntorch.atam")
    assert status == 2
    assert "did you mean snntorch.atan" in text


# A surrogate as it is typed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("atan", ATan()),
        ("ATan", ATan()),
        ("atan:alpha=3", ATan(alpha=3.0)),
        ("atan:alpha=3, scale=0.5", ATan(alpha=3.0, scale=0.5)),
        ("atan(3)", ATan(alpha=3.0)),
        ("ATan(alpha = 3.0, forward=Sign(at_zero=-1))", ATan(3.0, forward=Sign(at_zero=-1.0))),
        ("atan(forward=binary)", ATan(forward=binary)),
        ("step_pwl:maximum=inf, threshold=2", StepPWL(2.0)),
        ("q_pseudo_spike:offset=-0.5", QPseudoSpike(offset=-0.5)),
        ("spikingjelly.ATan", ATan(forward=Heaviside(at_zero=1.0))),
        ("spikingjelly.ATan:alpha=3", ATan(3.0, forward=Heaviside(at_zero=1.0))),
        ("snntorch.fast_sigmoid(slope=5)", FastSigmoid(5.0)),
        ("fgi_reference.fgi(gaussian)", Gaussian()),
        ("fgi_reference.fgi(gaussian)()", Gaussian()),
        (
            "lava_dl.slayer.spike.Spike(graded)(scale=2)",
            fgi.surrogates.OneSidedExponential(mu=1.0, forward=GradedSpike(1.0, 2.0)),
        ),
        (
            "spikingjelly.MultiLevelSpikeCount(max_spike_count=3, grad_window=(-1, 4))",
            fgi.surrogates.preset("spikingjelly.MultiLevelSpikeCount", max_spike_count=3,
                                  grad_window=(-1, 4)),
        ),
        ('{"name": "atan", "alpha": 3}', ATan(alpha=3.0)),
        ('{"name": "atan", "forward": {"name": "sign"}}', ATan(forward=Sign())),
    ],
)  # fmt: skip
def test_ways_to_write_a_surrogate(text: str, expected: fgi.Surrogate) -> None:
    assert surrogate(text) == expected


@pytest.mark.parametrize("definition", CATALOGUE, ids=lambda d: d.__name__)
def test_what_a_surrogate_prints_can_be_typed(definition: type[fgi.Surrogate]) -> None:
    spike = definition()
    for text in (definition.name, repr(spike), json.dumps(spike.to_config())):
        assert surrogate(text) == spike


def test_a_name_of_two_kinds_is_the_surrogate_and_inside_it_the_value_function() -> None:
    class Absolute(fgi.Surrogate):
        """As the value function is called."""

    Absolute.group, Absolute.name = "smooth", "absolute"
    smooth = importlib.import_module("fgi.surrogates.catalogue.smooth")
    smooth.Absolute = Absolute
    try:
        assert type(surrogate("Absolute(forward=Absolute())")) is Absolute
        assert surrogate("Absolute(forward=Absolute())").forward == fgi.values.Absolute()
        assert type(surrogate("absolute")) is Absolute
    finally:
        del smooth.Absolute


# Pictures


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_picture_of_several(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "new" / f"picture.{suffix}"
    status, text = run(
        "plot", "atan", "spikingjelly.ATan(alpha=3)", '{"name": "gaussian"}', "--out", str(out)
    )
    assert (status, text.replace(" ", "")) == (0, f"written:{out}")
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert out.read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("arguments", "there", "not_there"),
    [
        (["atan"], ["value f(x)", "slope g'(x)", "primitive g(x)"], []),
        (["atan", "triangle"], [">atan<", ">triangle<", "slope g'(x)"], ["value", "primitive"]),
        (["atan", "--slope"], [">atan<", "slope g'(x)"], ["value", "primitive"]),
        (["atan", "triangle", "--value", "--primitive"], ["atan value f(x)"], ["slope"]),
        (["atan", "--range", "-7:9"], [">−6<", ">8<"], [">10<"]),  # noqa: RUF001, Matplotlib's minus
        (["refractory_sigmoid"], ["value f(x)", "slope g'(x)"], ["primitive"]),
    ],
)
def test_the_curves_of_a_picture(
    arguments: list[str], there: list[str], not_there: list[str], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "picture.svg"
    status, text = run("plot", *arguments, "--out", str(out))
    assert status == 0, text
    found = re.findall(r"<text[^>]*(>[^<]*<)", out.read_text(encoding="utf-8"))
    words = "".join(found).replace("&apos;", "'")
    for word in there:
        assert word in words
    for word in not_there:
        assert word not in words


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument"),
        (["atam"], "'atam' is in no catalogue; did you mean atan?"),
        (["spikingjelly.Atan"], "did you mean spikingjelly.ATan"),
        (["atan(beta=3)"], "unexpected keyword argument 'beta'; expected atan(alpha=2.0, scale"),
        (["atan:alpha=-1"], "ATan: alpha is -1; expected a number > 0"),
        (["spikingjelly.Rect:alpha=0"], "spikingjelly.Rect: "),
        (["atan:alpha=x"], "x is no parameter; expected a number"),
        (["atan(alpha=2"], "expected parameters as in atan(alpha=2) or atan:alpha=2"),
        (["atan(2).native()"], "expected parameters as in atan(alpha=2)"),
        (["atan(alpha=3) or exit()"], "expected parameters as in"),
        (["{"], "is not JSON"),
        (['{"name": "atan", "beta": 1}'], "atan has no parameter beta"),
        (["Sign(at_zero=1)"], "is a value function; expected a surrogate"),
        (["refractory_sigmoid", "--primitive"], "has no primitive in closed form"),
        (["atan", "--range", "2:-2"], "--range 2:-2: expected two numbers such as -2:2"),
        (["atan", "--range", "0:inf"], "expected two numbers"),
        (["atan", "--range", "2"], "expected two numbers"),
        (["atan", "--out", "picture.gif"], "expected a file that ends in .png, .svg, .pdf"),
        (["atan", "--out", "picture"], "expected a file that ends in"),
    ],
)
def test_what_cannot_be_drawn(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    status, text = run("plot", *arguments)
    assert status == 2
    assert said in text
    assert not list(tmp_path.iterdir())


def test_nothing_that_is_typed_is_executed(tmp_path: Path) -> None:
    there = tmp_path / "there"
    for call in (f"open({str(there)!r}, 'w')", f"__import__('os').mkdir({str(there)!r})"):
        status, text = run("plot", f"atan(alpha={call})")
        assert status == 2
        assert "catalogue" in text or "expected" in text
    assert not there.exists()


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "file").touch()
    status, text = run("plot", "atan", "--out", str(tmp_path / "file" / "picture.png"))
    assert status == 2
    assert "Errno" in text  # what the system says; the path may be wrapped


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "fgi.surrogates.plot", raising=False)
    monkeypatch.delattr(fgi.surrogates, "plot", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for command in (["plot", "atan"], ["gallery"]):
        status, text = run(*command)
        assert status == 2
        assert "needs matplotlib" in text
        assert "pip install 'fgi[plot]'" in text


def test_the_gallery_goes_where_it_is_told(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    status, text = run("gallery", "--out", str(tmp_path / "gallery"))
    assert status == 0
    assert f"{len(CATALOGUE)} pictures" in text
    assert len(list((tmp_path / "gallery").glob("*.svg"))) == len(CATALOGUE)
    assert (tmp_path / "gallery" / "README.md").exists()
