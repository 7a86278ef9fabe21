"""docs/site/mkdocs.yml: every page is in the navigation, and once; make docs builds it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

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
    left_out = {line.strip("/") for line in SITE["not_in_nav"].split()}
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert set(named) - set(GENERATED) == there - left_out
    for name, source in GENERATED.items():
        assert name in named
        assert (ROOT / source).exists()


def test_the_site_is_built_of_this_folder() -> None:
    assert (DOCS / "site" / SITE["docs_dir"]).resolve() == DOCS
    for hook in SITE["hooks"]:
        assert (DOCS / "site" / hook).exists()
    assert posixpath.normpath(f"docs/site/{SITE['site_dir']}") == "build/docs"


def test_each_documented_name_is_public() -> None:
    import fgi
    import fgi.testing

    for page in DOCS.glob("api/*.md"):
        for line in page.read_text().splitlines():
            if line.startswith("::: "):
                found: Any = fgi
                for part in line.removeprefix("::: fgi").strip(".").split("."):
                    found = getattr(found, part) if part else found
                assert found.__doc__, line
