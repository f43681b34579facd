"""Each relative link of a page leads to a file, and to a heading, that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md"]
PAGES = [path for path in map(ROOT.joinpath, TOP) if path.exists()]
PAGES += sorted(path for path in (ROOT / "docs").rglob("*.md") if "generated" not in path.parts)
CODE = re.compile(r"^ *(```+).*?^ *\1$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)|(?:href|src)=\"([^\"]+)\"")


def prose_of(page):
    """Return the text of a page without its blocks of code."""
    return CODE.sub("", page.read_text("utf-8"))


def links_of(page):
    """Return the relative links of a page."""
    text = re.sub(r"`[^`\n]+`", "", prose_of(page))
    links = (first or second for first, second in LINK.findall(text))
    return [link for link in links if not re.match(r"\w+:", link)]


def anchors_of(page):
    """Return the anchors of headings, as GitHub and the site make them."""
    text = prose_of(page)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    headings = (re.sub(r"\]\([^)]*\)", "", heading).strip().lower() for heading in headings)
    slugs = [re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings]
    counted = [
        slug + (f"-{slugs[:i].count(slug)}" * (slug in slugs[:i])) for i, slug in enumerate(slugs)
    ]
    return {*counted, *re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    faults = []
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_relative_to(ROOT) or not target.exists():
            faults.append(f"{link}: no such file")
        elif anchor and anchor not in anchors_of(target):
            faults.append(f"{link}: no such heading")
    assert not faults
