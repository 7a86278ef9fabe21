"""docs/add_a_backend.md: its code is of the example, which conforms and is found by its name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/add_a_backend.md"
EXAMPLE = ROOT / "docs/examples/backend_mlx"
TITLED = re.compile(r'```\w+ title="([^"]+)"\n(.*?)```', re.DOTALL)
RUN = re.compile(r"```(python|console)\n(.*?)```\n(?:\n```text\n(.*?)```)?", re.DOTALL)

needs_mlx = pytest.mark.skipif(find_spec("mlx") is None, reason="mlx is not installed")


def metadata() -> dict[str, dict[str, dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = tomllib.loads(
        (EXAMPLE / "pyproject.toml").read_text()
    )["project"]
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process in which the example is installed, with its entry points."""
    site = tmp_path_factory.mktemp("site")
    info = site / "fgi_mlx-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fgi-mlx\nVersion: 0.1.0\n")
    lines = []
    for group, points in metadata()["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    path = os.pathsep.join([str(site), str(EXAMPLE), *sys.path])
    return os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def run(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        env=environment,
        cwd=EXAMPLE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_shows_the_example_as_it_is() -> None:
    blocks = TITLED.findall(PAGE.read_text())
    assert len(blocks) >= 5
    for name, block in blocks:
        assert block in (EXAMPLE / name).read_text(), name


def test_the_example_is_short() -> None:
    files = list(EXAMPLE.rglob("*.py"))
    assert len(files) == 2
    assert sum(len(path.read_text().splitlines()) for path in files) < 120


def test_without_its_framework_it_says_what_is_missing(installed: dict[str, str]) -> None:
    code = """
import sys
sys.modules["mlx"] = None
import fgi
print("mlx" in fgi.available_backends())
try:
    fgi.set_backend("mlx")
except ImportError as error:
    print(error)
"""
    printed = run(installed, "-c", code)
    assert printed.startswith("True\nfgi: the backend 'mlx' needs mlx")
    assert "which is not installed; choose one of " in printed


@needs_mlx
def test_it_is_found_by_name_and_by_its_arrays(installed: dict[str, str]) -> None:
    by_name = """
import sys, fgi
print("mlx" in fgi.available_backends(), "mlx" in sys.modules)
fgi.set_backend("mlx")
print(fgi.namespace().name, fgi.get_backend())
"""
    assert run(installed, "-c", by_name) == "True False\nmlx mlx\n"
    by_array = """
import mlx.core as mx, fgi
x = mx.array([-0.5, 0.0, 1.0])
spike = fgi.surrogates.Gaussian(sigma=0.5)
y, pullback = fgi.vjp(spike, x)
(dx,) = pullback(mx.array([2.0, -1.0, 4.0]))
print(fgi.namespace(y).name, y.tolist(), [round(v, 6) for v in dx.tolist()])
"""
    # u exp(-2 x^2), by hand.
    expected = "mlx [0.0, 0.0, 1.0] [1.213061, -1.0, 0.541341]\n"
    assert run(installed, "-c", by_array) == expected


@needs_mlx
def test_its_own_tests_pass(installed: dict[str, str]) -> None:
    printed = run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    passed = re.search(r"(\d+) passed, (\d+) skipped", printed)
    assert passed
    assert int(passed[1]) > 300


@needs_mlx
def test_the_catalogue_passes_in_every_mode(installed: dict[str, str]) -> None:
    code = """
import fgi, fgi.testing
report = fgi.testing.check(backends=["mlx"], dtypes=["bfloat16", "float32", "float64"])
assert report.ok, str(report)
print(*dict.fromkeys(row.mode for row in report.rows if row.status == "ok"), sep=", ")
print(len({row.subject for row in report.rows if row.subject}) - len(fgi.surrogates.catalogue()))
print(*{(row.dtype, row.reason) for row in report.rows if row.status == "absent"})
"""
    absent = ("float64", "mlx has no float64")
    modes = "eager, jvp, vmap(grad), compile, scan, grad of grad, jvp of grad"
    assert run(installed, "-c", code) == f"{modes}\n0\n{absent}\n"


@needs_mlx
def test_the_command_line_checks_it(installed: dict[str, str]) -> None:
    options = ["--backends", "mlx", "--modes", "eager", "--dtypes", "float32"]
    alone = ["mlx=fgi.surrogates:ATan()", "--like", "atan"]
    for what in (["atan:alpha=3"], alone):
        printed = run(installed, "-m", "fgi", "check", *what, *options)
        assert "1 subjects, 512 numbers compared: 1 ok." in printed


@needs_mlx
@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_a_spiking_network_has_the_gradients_of_another_framework(
    installed: dict[str, str],
) -> None:
    code = """
import fgi, numpy as np
net = fgi.networks.Network(fgi.neurons.ALIF(), gain=3.0)
rng = np.random.default_rng(1)
xs, u = (rng.normal(size=(20, 4, n)).astype("float32") for n in (5, 3))
found = []
for name in ("torch", "mlx"):
    params, x, w = fgi.convert((net.init((5, 16, 3)), xs, u), name)
    xp = fgi.namespace(x)
    spikes = xp.to_numpy(net.apply(params, x).spikes[0])
    gradient = fgi.grad(lambda p: xp.sum(w * net.apply(p, x).readout))(params)
    found.append((spikes, fgi.convert(gradient, "numpy")))
(spikes, theirs), (ours, gradient) = found
assert 10 < spikes.sum() and np.array_equal(spikes, ours)
for layer, parameters in theirs.items():
    for name, right in parameters.items():
        assert np.abs(right).max() > 0, name
        off = np.abs(gradient[layer][name] - right).max() / np.abs(right).max()
        assert off < 1e-5, (layer, name, off)
print(sum(map(len, theirs.values())))
"""
    assert run(installed, "-W", "ignore", "-c", code) == "8\n"


@needs_mlx
def test_the_page_s_other_blocks_print_what_they_say(installed: dict[str, str]) -> None:
    blocks = RUN.findall(PAGE.read_text())
    assert len(blocks) >= 4
    for kind, code, expected in blocks:
        if kind == "python":
            assert run(installed, "-c", code) == expected
