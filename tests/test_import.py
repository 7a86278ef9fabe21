"""``import fgi`` loads no framework, prints nothing; each looked at in a fresh interpreter."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fgi
from fgi_backends.moved import MOVED
from support import frameworks

ROOTS = [str(Path(fgi.__file__).parents[1]), str(Path(__file__).parents[1] / "backends")]
FRAMEWORKS = {"torch", "jax", "jaxlib", "tensorflow", "keras", "numpy", "scipy", "ml_dtypes"}
SHARED = {"adapter", "defaults", "moved", *(name.split(".")[1] for name in MOVED)} - FRAMEWORKS
EXTRAS = {"typer", "rich", "matplotlib", "sklearn"}


def fresh(code: str) -> str:
    """What a fresh interpreter prints, on both streams."""
    setup = f"import sys; sys.path[:0] = {ROOTS!r}\n"
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", setup + code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "use",
    [
        "import fgi",
        "import fgi; fgi.available_backends()",
        "import fgi; fgi.surrogates.ATan(alpha=3.0); fgi.functional.atan; fgi.get_backend()",
        "import fgi_backends",
    ],
)
def test_nothing_is_loaded_and_nothing_printed(use: str) -> None:
    loaded = fresh(f"{use}\nprint(*{{name.partition('.')[0] for name in sys.modules}})").split()
    assert {"fgi", "fgi_backends"} & set(loaded)
    assert not (FRAMEWORKS | EXTRAS) & set(loaded)


def test_available_backends_are_those_installed() -> None:
    assert set(frameworks.INSTALLED) == set(fgi.available_backends())


@pytest.mark.parametrize("framework", frameworks.INSTALLED)
def test_a_choice_loads_no_other_backend(framework: str) -> None:
    # Of ours, that is: TensorFlow itself loads torch and jax through Keras.
    loaded = fresh(
        "import os, warnings; os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'\n"
        "warnings.simplefilter('ignore')\n"
        f"import fgi; fgi.set_backend({framework!r})\n"
        "print(*sys.modules)"
    ).split()
    ours = {name.split(".")[1] for name in loaded if name.startswith("fgi_backends.")}
    assert ours - SHARED == {framework}


@pytest.mark.parametrize("face", ["torch", "jax", "keras"])
def test_a_face_is_loaded_when_it_is_named(face: str) -> None:
    pytest.importorskip(face)
    before, after = fresh(
        "import os, sys, warnings; os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'\n"
        "warnings.simplefilter('ignore')\n"
        f"import fgi; print({face!r} in dir(fgi), {face!r} in sys.modules)\n"
        f"fgi.{face}; from fgi.{face} import __all__; print(*sys.modules)"
    ).splitlines()[-2:]
    assert before == "True False"
    ours = {name.split(".")[1] for name in after.split() if name.startswith("fgi_backends.")}
    assert ours - SHARED == {face}


def imported(path: Path) -> set[str]:
    """The packages that a file imports, at its top or late."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).partition(".")[0])
    return found


def test_backends_and_their_faces_never_import_the_core() -> None:
    for path in Path(ROOTS[1]).rglob("*.py"):
        assert "fgi" not in imported(path), path


def test_the_core_imports_a_framework_through_a_backend_alone() -> None:
    for path in Path(ROOTS[0]).rglob("*.py"):
        assert not imported(path) & {"torch", "jax", "tensorflow", "keras", "flax"}, path


def test_import_leaves_the_process_as_it_was() -> None:
    code = (
        "import os, warnings, logging, threading\n"
        "def state(): return (dict(os.environ), len(warnings.filters), logging.root.level,\n"
        "                     logging.root.handlers[:], threading.active_count(), sys.path[:])\n"
        "before = state(); import fgi; print(state() == before)"
    )
    assert fresh(code).strip() == "True"


def test_public_names() -> None:
    assert fgi.__all__ == sorted(fgi.__all__)
    for name in fgi.__all__:
        assert getattr(fgi, name).__doc__, name
    modules = {name for name, v in vars(fgi).items() if isinstance(v, type(fgi))}
    public = {name for name in vars(fgi) if not name.startswith("_")} - modules
    assert public == set(fgi.__all__) - modules
