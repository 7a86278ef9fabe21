"""``--fgi-backends torch,jax`` selects tests by their parameter ``framework``; see fgi's plugin."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fgi
from support import frameworks

# By these a command line prints colours into files too, on GitHub for one.
for name in ("GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS"):
    os.environ.pop(name, None)

# For environments in which fgi itself is not installed.
pytest_plugins = ["fgi.pytest_plugin"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-peers", action="store_true",
        help="a library that fgi is compared with and that is missing fails instead of skipping",
    )  # fmt: skip


@pytest.fixture
def library(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """Import a module of another library, which is there or skips the test by its name."""
    if request.config.getoption("require_peers"):
        return importlib.import_module
    return lambda name: pytest.importorskip(name, exc_type=ImportError)


def pytest_report_header(config: pytest.Config) -> list[str]:
    found = [f"{name} {frameworks.backend(name).version}" for name in frameworks.INSTALLED]
    return [f"frameworks: {', '.join(found)}"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = [name for name in config.getoption("fgi_backends").split(",") if name]
    if not asked:
        return

    def wanted(item: pytest.Item) -> bool:
        parameters = getattr(item, "callspec", None)
        name = parameters.params.get("framework") if parameters else None
        return name in (None, "numpy", *asked)

    config.hook.pytest_deselected(items=[item for item in items if not wanted(item)])
    items[:] = [item for item in items if wanted(item)]


@pytest.fixture(autouse=True, scope="module")
def fresh_compiler() -> Iterator[None]:
    """PyTorch gives up on a function compiled for many arguments: each module has its own count."""
    yield
    if "torch._dynamo" in sys.modules:
        sys.modules["torch"].compiler.reset()


@pytest.fixture(autouse=True)
def auto_backend() -> Iterator[None]:
    """Each test starts and ends with no backend chosen."""
    fgi.set_backend("auto")
    yield
    fgi.set_backend("auto")
