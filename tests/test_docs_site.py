"""docs/site/mkdocs.yml: every page is in the navigation, and once; make docs builds it."""

from __future__ import annotations

import importlib.util
import posixpath
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

import fgi
import fgi.testing

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SITE = yaml.safe_load((DOCS / "site/mkdocs.yml").read_text())
GENERATED = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}


def pages(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from pages(part)


def test_every_page_is_in_the_navigation_once() -> None:
    named = list(pages(SITE["nav"]))
    assert len(named) == len(set(named))
    left_out = [line.strip("/") for line in SITE["not_in_nav"].split()]
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    expected = {page for page in there if not any(fnmatch(page, name) for name in left_out)}
    assert set(named) - set(GENERATED) == expected
    for name, source in GENERATED.items():
        assert name in named
        assert (ROOT / source).exists()


def test_the_site_is_built_of_this_folder() -> None:
    assert (DOCS / "site" / SITE["docs_dir"]).resolve() == DOCS
    for hook in SITE["hooks"]:
        assert (DOCS / "site" / hook).exists()
    assert posixpath.normpath(f"docs/site/{SITE['site_dir']}") == "build/docs"


def test_each_documented_name_is_public() -> None:
    for page in DOCS.glob("api/*.md"):
        for line in page.read_text().splitlines():
            if line.startswith("::: "):
                found: Any = fgi
                for part in line.removeprefix("::: fgi").strip(".").split("."):
                    found = getattr(found, part) if part else found
                assert found.__doc__, line


def display(block: str) -> str | None:
    spec = importlib.util.spec_from_file_location("equations", DOCS / "site/equations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: str | None = module.display(block)
    return found


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("g'(x) = a / (1 + b * abs(x))**2",
         r"g'(x) = \frac{a}{\left(1 + b \, \left|x\right|\right)^{2}}"),
        ("f(x) = a - (b - c)", r"f(x) = a - \left(b - c\right)"),
        ("f(x) = a - b - c", "f(x) = a - b - c"),
        ("f(x) = (a / b)**2", r"f(x) = \left(\frac{a}{b}\right)^{2}"),
        ("f(x) = -(a + b)", r"f(x) = -\left(a + b\right)"),
        ("f(x) = (a + b) * 2", r"f(x) = \left(a + b\right) \cdot 2"),
        ("f(x) = exp(-x**2 / 2)", r"f(x) = \exp\left(\frac{-x^{2}}{2}\right)"),
        ("f(x) = floor(x / step)", r"f(x) = \lfloor \frac{x}{\text{step}} \rfloor"),
        ("dy/dalpha = 1 if x >= a else 0",
         r"\frac{\partial y}{\partial \alpha} = "
         r"\begin{cases} 1 & x \ge a \\ 0 & \text{otherwise} \end{cases}"),
        ("f(x) = 1 if x > 1 else x if 0 < x else 0",
         r"f(x) = \begin{cases} 1 & x > 1 \\ x & 0 < x \\ 0 & \text{otherwise} \end{cases}"),
        ("f(x) = sum(i * x for i in range(1, n + 1))", r"f(x) = \sum_{i = 1}^{n} i \, x"),
        ("g(x) = a * (b\n    + c)", r"g(x) = a \, \left(b + c\right)"),
    ],
)  # fmt: skip
def test_an_equation_in_the_notation_of_mathematics(written: str, shown: str) -> None:
    assert display(written) == f"$$ {shown} $$"


@pytest.mark.parametrize(
    "code", ["spike = fgi.surrogates.ATan()", "print(1)", "y = f(x), x = 1", "import fgi", "x ="]
)
def test_code_is_no_equation(code: str) -> None:
    assert display(code) is None


def test_every_equation_of_the_gallery_is_shown() -> None:
    page = (DOCS / "gallery/README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shown = [block for block in blocks if display(block)]
    assert len(shown) == len(fgi.surrogates.catalogue())
    assert all("=" not in block.partition("(")[0] for block in blocks if block not in shown)
