"""Frameworks as fixtures. ``--backends torch,jax`` runs some, and fails where one is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fgi
from support import frameworks


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backends", default="", help="only these (and NumPy), comma-separated, and all of them"
    )


def pytest_configure(config: pytest.Config) -> None:
    asked = [name for name in config.getoption("--backends").split(",") if name]
    missing = [name for name in asked if name not in frameworks.INSTALLED]
    if missing:
        raise pytest.UsageError(f"--backends: not installed: {', '.join(missing)}")


def pytest_report_header(config: pytest.Config) -> list[str]:
    found = [f"{name} {frameworks.backend(name).version}" for name in frameworks.INSTALLED]
    return [f"frameworks: {', '.join(found)}"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = [name for name in config.getoption("--backends").split(",") if name]
    if not asked:
        return

    def wanted(item: pytest.Item) -> bool:
        parameters = getattr(item, "callspec", None)
        name = parameters.params.get("framework") if parameters else None
        return name in (None, "numpy", *asked)

    config.hook.pytest_deselected(items=[item for item in items if not wanted(item)])
    items[:] = [item for item in items if wanted(item)]


@pytest.fixture(autouse=True)
def auto_backend() -> Iterator[None]:
    """Each test starts and ends with no backend chosen."""
    fgi.set_backend("auto")
    yield
    fgi.set_backend("auto")
