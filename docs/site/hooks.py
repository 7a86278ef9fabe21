"""What mkdocs does not do by itself: pages of files from elsewhere, and equations.

A link that leaves the pages, to a test or a module, leads to a page with that file; so no link is
dead, wherever the site is put. Equations become MathML, which browsers show without a script.
"""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path
from typing import Any

import equations
from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
DOCS = "docs"
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "docs": "index.md",
    "docs/gallery": "gallery/README.md",
}
"""Pages of the repository, and where they are on the site."""

LANGUAGES = {".py": "python", ".toml": "toml", ".yml": "yaml", ".yaml": "yaml", ".md": "markdown"}
SHOWN = (*LANGUAGES, ".txt", ".json")
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
CODE = re.compile(r"(^```.*?^```|`[^`\n]*`)", re.DOTALL | re.MULTILINE)
EQUATION = re.compile(r'<(span|div) class="arithmatex">\s*\\[(\[](.*?)\\[)\]]\s*</\1>', re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    for path, page in PAGES.items():
        if path.endswith(".md"):
            text = (ROOT / path).read_text(encoding="utf-8")
            files.append(File.generated(config, page, content=text))
    waiting = [
        target for file in files.documentation_pages() for target, _ in _targets(file).values()
    ]
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or _page(path, files) or not (ROOT / path).exists():
            continue
        seen.add(path)
        text, inside = _shown(path)
        waiting += inside
        files.append(File.generated(config, f"source/{path}.md", content=text))
    return files


def _origin(file: File) -> str:
    """Where in the repository the text of a page comes from."""
    for path, page in PAGES.items():
        if page == file.src_uri and path.endswith(".md"):
            return path
    if file.src_uri.startswith("source/"):
        return file.src_uri.removeprefix("source/").removesuffix(".md")
    return f"{DOCS}/{file.src_uri}"


def _targets(file: File) -> dict[str, tuple[str, str]]:
    """Links of a page to files: as written, and as the path in the repository and the anchor."""
    prose = CODE.sub("", file.content_string)
    folder = posixpath.dirname(_origin(file))
    return {
        link: (posixpath.normpath(posixpath.join(folder, link)), anchor)
        for link, anchor in LINK.findall(prose)
        if ":" not in link
    }


def _page(path: str, files: Files) -> str | None:
    """Where a file of the repository is on the site, if it is."""
    if path in PAGES:
        return PAGES[path]
    inside = path.removeprefix(f"{DOCS}/")
    file = files.get_file_from_path(inside) if inside != path else None
    return inside if file is not None and not file.inclusion.is_excluded() else None


def _shown(path: str) -> tuple[str, list[str]]:
    """The page of a file, or of a folder, and the files that it leads to."""
    at = ROOT / path
    title = f"# {posixpath.basename(path)}\n\n`{path}`\n\n"
    if at.is_dir():
        inside = sorted(
            child.relative_to(ROOT).as_posix()
            for child in at.rglob("*")
            if child.is_file()
            and child.suffix in (*SHOWN, ".json")
            and "__" not in child.parent.name
        )
        links = (f"- [{posixpath.relpath(child, path)}]({_up(path)}{child})" for child in inside)
        return title + "\n".join(links) + "\n", inside
    fence = "````" if at.suffix == ".md" else "```"
    text = at.read_text(encoding="utf-8")
    return f"{title}{fence}{LANGUAGES.get(at.suffix, 'text')}\n{text}\n{fence}\n", []


def _up(path: str) -> str:
    return "../" * path.count("/")


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    targets = _targets(page.file)
    here = posixpath.dirname(page.file.src_uri)

    def linked(match: re.Match[str]) -> str:
        link, anchor = match[1], match[2] or ""
        if link not in targets:
            return match[0]
        path, _ = targets[link]
        found = _page(path, files) or f"source/{path}.md"
        return f"]({posixpath.relpath(found, here or '.')}{anchor})"

    parts = CODE.split(markdown)
    # Those at odd places are code.
    return "".join(_code(p) if i % 2 else LINK.sub(linked, p) for i, p in enumerate(parts))


def _code(text: str) -> str:
    """A block of code; one of equations as such."""
    block = re.fullmatch(r"```python\n(.*?)```", text, re.DOTALL)
    found = equations.display(block[1]) if block else None
    return text if found is None else found


def on_page_content(content: str, page: Page, config: Any, files: Files) -> str:
    def mathml(match: re.Match[str]) -> str:
        display = "block" if match[1] == "div" else "inline"
        return str(convert(html.unescape(match[2]).strip(), display=display))

    return EQUATION.sub(mathml, content)
