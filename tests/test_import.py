"""``import fgi`` loads no framework, prints nothing; each looked at in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fgi
from support import frameworks

ROOTS = [str(Path(fgi.__file__).parents[1]), str(Path(__file__).parents[1] / "backends")]
FRAMEWORKS = {"torch", "jax", "jaxlib", "tensorflow", "keras", "numpy", "scipy", "ml_dtypes"}
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
    assert ours == {framework}


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
    modules = {name for name, v in vars(fgi).items() if type(v) is type(fgi)}
    public = {name for name in vars(fgi) if not name.startswith("_")} - modules
    assert public == set(fgi.__all__) - modules
