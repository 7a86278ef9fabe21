"""What is published: the wheel and the sdist, and that the wheel works from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.util import find_spec
from pathlib import Path

import pytest

import fgi
from support import frameworks

ROOT = Path(__file__).parents[1]
SOURCES = (ROOT / "fgi_core" / "fgi", ROOT / "backends" / "fgi_backends")
EXTRAS = {
    *("torch", "jax", "tensorflow", "numpy", "plot", "cli", "demo", "data", "safetensors"),
    *("testing", "all"),
}
NAME = f"fgi-{fgi.__version__}"
AUTODIFF = frameworks.INSTALLED_AUTODIFF


def run(*command: str | Path, cwd: Path, path: Path | None = None) -> str:
    """What a process prints; it sees no other PYTHONPATH than ``path``."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both; the wheel is made of the sdist, so that the sdist is complete."""
    out = tmp_path_factory.mktemp("dist")
    options = ["--no-isolation"] if find_spec("hatchling") else []
    run(sys.executable, "-m", "build", *options, "--outdir", out, ROOT, cwd=out)
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return dist / f"{NAME}-py3-none-any.whl"


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(f"{NAME}.dist-info/METADATA").decode())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and nothing else; the interpreter's other packages stay in reach."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    run(*pip, "--target", target, wheel, cwd=target)
    return target


def test_one_wheel_and_one_sdist(dist: Path, wheel: Path) -> None:
    assert {path.name for path in dist.iterdir()} == {wheel.name, f"{NAME}.tar.gz"}


def test_the_wheel_holds_the_sources_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {name for name in names if ".dist-info/" not in name}
    # No "backends", no "tests", no "fgi_core" in the way of anybody's own.
    assert {name.partition("/")[0] for name in modules} == {"fgi", "fgi_backends"}
    assert modules == {
        f"{source.name}/{path.relative_to(source).as_posix()}"
        for source in SOURCES
        for path in source.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {"fgi/py.typed", "fgi_backends/py.typed"} <= modules
    assert f"{NAME}.dist-info/licenses/LICENSE" in names


def test_the_sdist_holds_sources_tests_and_notebooks(dist: Path) -> None:
    with tarfile.open(dist / f"{NAME}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= names
    assert {"fgi_core/fgi/py.typed", "backends/fgi_backends/py.typed"} <= names
    assert {"tests/conftest.py", "tests/support/exact.py"} <= names
    assert {path.relative_to(ROOT).as_posix() for path in ROOT.glob("notebooks/*.ipynb")} <= names
    assert not [name for name in names if name.startswith(".venv") or name.endswith(".pyc")]


def test_metadata(wheel: Path, metadata: Message) -> None:
    assert metadata["Name"] == "fgi"
    assert metadata["Version"] == fgi.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra", [])) == EXTRAS
    requirements = metadata.get_all("Requires-Dist", [])
    assert [each for each in requirements if "extra ==" not in each] == []
    with zipfile.ZipFile(wheel) as archive:
        scripts = archive.read(f"{NAME}.dist-info/entry_points.txt").decode().split("\n")
    assert "[console_scripts]" in scripts
    assert "fgi = fgi.__main__:main" in scripts


def test_the_wheel_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    code = """
import fgi, fgi_backends
print(fgi.__file__)
print(fgi_backends.__file__)
import numpy as np
spike = fgi.surrogates.Triangle(width=2.0)
x = np.array([-3.0, -1.0, 0.5])
print(spike(x).tolist(), spike.derivative(x).tolist())
"""
    printed = run(sys.executable, "-W", "error", "-c", code, cwd=tmp_path, path=installed)
    core, backends, numbers = printed.splitlines()
    assert Path(core) == installed / "fgi" / "__init__.py"
    assert Path(backends) == installed / "fgi_backends" / "__init__.py"
    assert numbers == "[0.0, 0.0, 1.0] [0.0, 0.5, 0.75]"


@pytest.mark.parametrize("framework", AUTODIFF)
def test_each_backend_is_in_the_wheel(framework: str, installed: Path, tmp_path: Path) -> None:
    code = f"""
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import fgi
fgi.set_backend({framework!r})
xp = fgi.namespace()
print(xp.__file__)
x = xp.asarray([-1.0, 0.5], dtype=xp.float32)
_, pullback = fgi.vjp(fgi.surrogates.Triangle(width=2.0), x)
print(xp.to_numpy(pullback(3 * xp.ones_like(x))[0]).tolist())
"""
    file, slope = run(sys.executable, "-c", code, cwd=tmp_path, path=installed).splitlines()
    assert Path(file) == installed / "fgi_backends" / framework / "__init__.py"
    assert slope == "[1.5, 2.25]"


def test_the_command_line_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "fgi", "list"]
    listed = run(*command, cwd=tmp_path, path=installed)
    for name in fgi.surrogates.__all__:
        assert name in listed
