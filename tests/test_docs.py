"""README and docs hold what they show: the README's Python runs, links lead somewhere, commands and flags exist."""

from __future__ import annotations

import os
import re
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel

from chronas.cli import COMMANDS
from chronas.cli.main import find_command, main
from chronas.cli.options import KINDS, Options
from chronas.devices import DEVICES, device_class
from chronas.measurement import Plan
from chronas.predictors import PREDICTORS, predictor_class
from chronas.registry import imported
from chronas.search import SEARCHERS, RerankConfig, searcher_class
from chronas.spaces import NetworkSize
from chronas.training import Recipe

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROSE = [page for page in PAGES if page.name != "log.md"]  # the log keeps its dated entries as they were written
FASTER = {"networks=100": "networks=40", "depth=1)\nmodel": "depth=1, architectures=4, initial_random=2)\nmodel"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FLAG = re.compile(r"(?<![\w-])--[a-z][\w.-]*\w")
OTHERS = ("python ", "./", "pip ", "git ", "make ", "pytest ")  # programs with flags of their own
FOREIGN = {"--provider", "--board"}  # of a bundle's run.py, and of an example's script
MOST_WORDS = 25
WIDTH = 120
PRIVATE = ("rung", "ladder", "traits", "brief training", "skeleton", "dilution")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def without_blocks(text: str) -> str:
    return FENCE.sub("", text)


# ---- the README's Python


def test_the_python_of_the_readme_runs_in_an_empty_folder(tmp_path: Path) -> None:
    """As a script, without `if __name__ == "__main__"`; with fewer networks than it has, for the time."""
    [code] = [text for language, text in FENCE.findall(PAGES[0].read_text()) if language == "python"]
    for shown, fewer in FASTER.items():
        assert shown in code, f"the README no longer has {shown!r}: adapt FASTER"
        code = code.replace(shown, fewer)
    (tmp_path / "ten_lines.py").write_text(code)
    command = [sys.executable, "ten_lines.py"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert re.search(r"test accuracy \d+\.\d+ %\) [\d.]+ ms", answer.stdout)
    exported = {path.name for path in (tmp_path / "exported").iterdir()}
    assert {"model.onnx", "model.py", "model.safetensors"} <= exported


# ---- links


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text())):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert not wrong


def test_pictures_are_small() -> None:
    for picture in (ROOT / "docs").glob("*.png"):
        assert picture.stat().st_size <= 150_000


# ---- commands and flags


def command_lines(page: Path) -> Iterator[list[str]]:
    """The words after `chronas` of each command line in a page's blocks of shell."""
    for language, text in FENCE.findall(page.read_text()):
        if language in ("", "sh"):
            for line in text.replace("\\\n", " ").splitlines():
                found = re.match(r"\s*(?:torchrun .* -m )?chronas (.*)", line)
                if found:
                    yield shlex.split(found[1], comments=True)


LINES = [(name_of(page), words) for page in PAGES for words in command_lines(page)]


@pytest.mark.parametrize(("page", "words"), LINES, ids=[f"{page}: {' '.join(words)[:60]}" for page, words in LINES])
def test_a_command_line_has_a_real_command_and_real_flags(
    page: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    name, command, rest = find_command(words)
    given = [word for word in rest if word.startswith("--")]
    single = set(single_flags(command.model()))
    assert {flag for flag in given if "." not in flag} - {"--help"} <= single
    chosen = [(flag[2:], value.partition(":")[0]) for flag, value in zip(rest, rest[1:], strict=False)]
    choices = [(kind, value) for kind, value in chosen if kind in KINDS]
    for kind, value in choices:
        assert value in imported(KINDS[kind])
    grouped = {flag for flag in given if "." in flag}
    if grouped:
        flags_of_choices = [word for kind, value in choices for word in (f"--{kind}", value)]
        assert main([*name.split(), *flags_of_choices, "--help", "all"]) == 0
        assert grouped <= set(FLAG.findall(capsys.readouterr().out))


def test_the_commands_of_a_whole_loop_are_shown() -> None:
    shown = {find_command(words)[0] for _, words in LINES}
    assert {"run", "resume", "retarget", "measure run", "fit", "search", "train", "export", "report"} <= shown


def single_flags(model: type[Options]) -> Iterator[str]:
    """The flags of a command that are in no group."""
    for name, info in model.model_fields.items():
        if name not in model.POSITIONAL:
            yield from spelled(str(info.validation_alias or name), boolean=info.annotation is bool)


def spelled(name: str, *, boolean: bool) -> Iterator[str]:
    flag = name.replace("_", "-")
    group, dot, last = flag.rpartition(".")
    yield f"--{flag}"
    if boolean:
        yield f"--{group}{dot}no-{last}"


@cache
def all_flags() -> frozenset[str]:
    """Every flag of every command, with every device, searcher and predictor."""
    groups: list[tuple[str, type[BaseModel]]] = [
        *(("device", device_class(name).Config) for name in DEVICES),
        *(("searcher", searcher_class(name).Config) for name in SEARCHERS),
        *(("predictor", predictor_class(name).Config) for name in PREDICTORS),
        *(("plan", Plan), ("rerank", RerankConfig), ("recipe", Recipe), ("size", NetworkSize)),
    ]
    found = {flag for command in COMMANDS.values() for flag in single_flags(command.model())}
    for group, model in groups:
        for name, info in model.model_fields.items():
            found.update(spelled(f"{group}.{name}", boolean=info.annotation is bool))
    return frozenset({*found, "--help", "--version", "--debug"})


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_flags_in_prose_exist(page: Path) -> None:
    spans = re.findall(r"`([^`]+)`", without_blocks(page.read_text()))
    named = {flag for span in spans if not span.startswith(OTHERS) for flag in FLAG.findall(span)}
    groups = {flag.partition(".")[0] for flag in all_flags() if "." in flag}  # `--plan.*` stands for all of a group
    assert named - all_flags() - groups - FOREIGN == set()


# ---- prose


def sentences(text: str) -> list[str]:
    """Those of paragraphs and lists; headings, tables and blocks are left out."""
    lines = [line for line in without_blocks(text).splitlines() if not line.startswith(("#", "|", "!"))]
    paragraphs = re.split(r"\n\s*\n|\n(?=- )", "\n".join(lines))
    return [each for text in paragraphs for each in re.split(r"(?<=[.!?:])\s+", text.strip()) if len(each.split()) > 1]


def test_the_readme_has_short_sentences() -> None:
    counts: Sequence[int] = [len(sentence.split()) for sentence in sentences(PAGES[0].read_text())]
    assert len(counts) > 20
    assert statistics.median(counts) <= MOST_WORDS


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_prose_has_short_lines_and_the_words_of_the_field(page: Path) -> None:
    text = page.read_text()
    assert not [line for line in text.splitlines() if len(line) > WIDTH and not line.startswith("|")]
    assert not [word for word in PRIVATE if re.search(rf"\b{word}", text, re.IGNORECASE)]
