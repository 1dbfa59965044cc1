# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Documents: prose that fits an editor's window, links that lead somewhere."""

from __future__ import annotations

import collections
import functools
import itertools
import pathlib
import re
import subprocess
import typing as tp
import urllib.parse

import markdown_it
import pytest

if tp.TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it import token

ROOT = pathlib.Path(__file__).parents[4]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
WIDTH = 100


@functools.lru_cache
def _tokens(text: str) -> list[token.Token]:
    return markdown_it.MarkdownIt("commonmark").enable("table").parse(text)


def _long_prose(text: str) -> list[str]:
    """Return the lines of paragraphs and headings that could have been wrapped and were not.

    Code and tables are free: a command that is cut in two no longer works as pasted, and a row
    of a table is one line. So is a word (a link, a path) that is longer than a line by itself.
    """
    lines = text.splitlines()
    return [
        lines[number]
        for part in _tokens(text)
        if part.type in {"paragraph_open", "heading_open"} and part.map
        for number in range(*part.map)
        if len(lines[number]) > WIDTH and len(lines[number].split()) > 1
    ]


@functools.lru_cache
def _anchors(text: str) -> set[str]:
    """Return the fragments GitHub gives to the headings of *text*."""
    seen: collections.Counter[str] = collections.Counter()
    anchors = set()
    parts = _tokens(text)
    for heading, inline in itertools.pairwise(parts):
        if heading.type != "heading_open":
            continue
        words = "".join(child.content for child in inline.children or ())
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors


def _links(text: str) -> Iterator[str]:
    for part in _tokens(text):
        for child in part.children or ():
            if child.type in {"link_open", "image"}:
                yield str(child.attrs.get("href") or child.attrs.get("src"))


def _dead_links(document: pathlib.Path, text: str) -> list[str]:
    """Return the relative links of *text* that lead to no file of ours or to no heading in it."""
    dead = []
    for link in _links(text):
        target = urllib.parse.urlsplit(link)
        if target.scheme or target.netloc:
            continue
        path = document.parent / urllib.parse.unquote(target.path) if target.path else document
        found = path == document or (path.exists() and path.resolve().is_relative_to(ROOT))
        if found and target.fragment:
            found = target.fragment in _anchors(text if path == document else path.read_text())
        if not found:
            dead.append(link)
    return dead


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_prose_is_wrapped_at_100_columns(document: pathlib.Path) -> None:
    assert _long_prose(document.read_text()) == [], "run make format"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: pathlib.Path) -> None:
    assert _dead_links(document, document.read_text()) == []


@pytest.mark.parametrize(
    ("text", "long"),
    [
        pytest.param("word " * 19 + "words", [], id="one hundred columns"),
        pytest.param("word " * 20 + "w", ["word " * 20 + "w"], id="one more"),
        pytest.param("- " + "word " * 20, ["- " + "word " * 20], id="an item of a list"),
        pytest.param("# " + "word " * 20 + "w", ["# " + "word " * 20 + "w"], id="a heading"),
        pytest.param("> " + "word " * 20, ["> " + "word " * 20], id="a quotation"),
        pytest.param("w" * 101, [], id="a word that cannot be cut"),
        pytest.param("```\n" + "word " * 21 + "\n```", [], id="code"),
        pytest.param("| a |\n| - |\n| " + "word " * 20 + " |", [], id="a table"),
    ],
)
def test_only_prose_that_can_be_wrapped_counts(text: str, long: list[str]) -> None:
    assert [line.strip() for line in _long_prose(text)] == [line.strip() for line in long]


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        pytest.param("[a](docs/relay.md)", [], id="a file"),
        pytest.param("[a](docs/nothing.md)", ["docs/nothing.md"], id="no file"),
        pytest.param("[a](../README.md)", ["../README.md"], id="outside the repository"),
        pytest.param("# A `b`, c\n[a](#a-b-c)", [], id="a heading"),
        pytest.param("# A\n[a](#b)", ["#b"], id="no heading"),
        pytest.param("# A\n# A\n[a](#a-1)", [], id="the second of two equal headings"),
        pytest.param("[a](docs/relay.md#no)", ["docs/relay.md#no"], id="no heading of a file"),
        pytest.param("[a](https://example.com/b)", [], id="not ours to check"),
        pytest.param("`[a](docs/nothing.md)`", [], id="code"),
    ],
)
def test_a_link_is_dead_without_a_file_or_a_heading(text: str, dead: list[str]) -> None:
    assert _dead_links(ROOT / "document.md", text) == dead


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_shell_reads_every_command(document: pathlib.Path) -> None:
    blocks = [part.content for part in _tokens(document.read_text()) if part.info == "bash"]
    refused = [
        block
        for block in blocks
        if subprocess.run(["bash", "-n"], input=block, check=False, text=True).returncode
    ]
    assert refused == []


def test_the_settings_of_each_client_have_the_same_placeholders() -> None:
    section = (ROOT / "README.md").read_text().partition("\n## Send\n")[2].partition("\n## ")[0]
    clients = {}
    for text in section.split("\n### ")[1:]:
        name, _, rest = text.partition("\n")
        clients[name] = [part.content for part in _tokens(rest) if part.type == "fence"]
    assert [*clients] == [
        *("Postfix", "exim4", "msmtp", "nodemailer", "Django", "PHPMailer", "Spring", "Grafana")
    ]
    # One block each: whoever tries them takes it by its heading and fills in three values.
    assert {name: len(blocks) for name, blocks in clients.items()} == dict.fromkeys(clients, 1)
    for (block,) in clients.values():
        assert "noreply@mail.example.com" in block
        assert "mail.example.com" in block.replace("noreply@mail.example.com", "")
        assert "correct-horse-battery" in block


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_of_the_repository_exists(document: pathlib.Path) -> None:
    tops = "|".join(re.escape(path.name) for path in ROOT.iterdir() if path.is_dir())
    named = {
        child.content
        for part in _tokens(document.read_text())
        for child in part.children or ()
        if child.type == "code_inline" and re.fullmatch(rf"(?:{tops})/[\w./@-]+", child.content)
    }
    built = {name for name in named if name.startswith((".stand/", ".cache/", "output/", "dist/"))}
    assert [name for name in sorted(named - built) if not (ROOT / name).exists()] == []
