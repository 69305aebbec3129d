"""The direction of imports, and that no code compares names of entries: read from the source, nothing is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "chronas"
LEFT_TO_RIGHT = (
    "spaces > networks > devices > measurement > tables > predictors > data > training > supernets > search > "
    "reports > runs > explore > cli"
)
DESIGN = re.split(r" > ", LEFT_TO_RIGHT)
OPEN = {"errors", "units", "files", "names", "progress"}
FORBIDDEN = {
    "spaces": {"torch", "polars"},
    "networks": {"polars", "sklearn", "plotly"},
    "data": {"polars"},
    "training": {"polars"},
    "supernets": {"polars"},
    "search": {"polars"},
}
ENTRY = re.compile(r"chronas(\.\w+)+:\w+")
WHEN_ASKED = {"data/parquet.py": {"polars"}}  # no other dependency reads Parquet; loaded when such a file is
FILES = sorted(SOURCE.rglob("*.py"))


def _folder(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return parts[0] if len(parts) > 1 or parts[0] != "__init__" else "chronas"


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _walk(node: ast.AST, *, functions: bool = True) -> Iterator[ast.AST]:
    """All nodes that can run, those inside functions if wanted; what only type checkers read is left out."""
    for child in ast.iter_child_nodes(node):
        if not _is_type_checking(child) and (functions or not isinstance(child, ast.FunctionDef)):
            yield child
            yield from _walk(child, functions=functions)


def _imports(tree: ast.AST, *, functions: bool = True) -> Iterator[tuple[str, str | None]]:
    """(module, name) of every import, those inside functions too if wanted; name is None for `import module`."""
    for node in _walk(tree, functions=functions):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            yield from ((str(node.module), alias.name) for alias in node.names)


def _entries(tree: ast.AST) -> dict[str, str]:
    """Names and import strings of the literal dicts of names in a file."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if (
                    isinstance(key, ast.Constant)
                    and isinstance(value, ast.Constant)
                    and ENTRY.fullmatch(f"{value.value}")
                ):
                    found[str(key.value)] = str(value.value)
    return found


def _wrong_arrow(path: Path, module: str) -> bool:
    """Whether a file may not import a module of chronas."""
    target = module.split(".")[1] if "." in module else "chronas"
    folder = _folder(path)
    if target in OPEN or target in ("chronas", folder):
        return False
    return folder not in DESIGN or DESIGN.index(target) > DESIGN.index(folder)


every_file = pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(SOURCE)) for path in FILES])


@every_file
def test_stands_in_a_folder_of_the_design(path: Path) -> None:
    assert _folder(path) in {*DESIGN, *OPEN, "chronas"}


@every_file
def test_imports_only_from_folders_to_its_left(path: Path) -> None:
    tree = ast.parse(path.read_text())
    modules = [module for module, _ in _imports(tree)] + [entry.split(":")[0] for entry in _entries(tree).values()]
    wrong = [module for module in modules if module.split(".")[0] == "chronas" and _wrong_arrow(path, module)]
    assert not wrong, f"{_folder(path)} must not import {wrong}"


@every_file
def test_takes_other_folders_names_from_their_public_list(path: Path) -> None:
    wrong = []
    for module, name in _imports(ast.parse(path.read_text())):
        parts = module.split(".")
        foreign = parts[0] == "chronas" and len(parts) > 1 and parts[1] not in {*OPEN, _folder(path)}
        if foreign and (len(parts) > 2 or name is None or name.startswith("_")):
            wrong.append(f"from {module} import {name}")
    assert not wrong, f"not from the folder's public list: {wrong}"


@every_file
def test_does_without_packages_that_its_folder_must_not_need(path: Path) -> None:
    tree = ast.parse(path.read_text())
    forbidden = FORBIDDEN.get(_folder(path), set())
    when_asked = WHEN_ASKED.get(path.relative_to(SOURCE).as_posix(), set())
    assert not {module.split(".")[0] for module, _ in _imports(tree, functions=False)} & forbidden
    assert not {module.split(".")[0] for module, _ in _imports(tree)} & (forbidden - when_asked)


@every_file
def test_compares_no_names_of_entries(path: Path) -> None:
    names = {name for file in FILES if file.name == "__init__.py" for name in _entries(ast.parse(file.read_text()))}
    assert {"darts", "nasbench201"} <= names
    wrong = []
    for node in ast.walk(ast.parse(path.read_text())):
        operands: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            operands = [node.value]
        constants = {c.value for o in operands for c in ast.walk(o) if isinstance(c, ast.Constant)}
        wrong += [f"line {o.lineno}: {sorted(names & constants)}" for o in operands[:1] if names & constants]
    assert not wrong, f"a method or a piece of data is missing: {wrong}"


def test_every_entry_is_a_class_or_function_of_its_own_folder() -> None:
    for file in FILES:
        for name, entry in _entries(ast.parse(file.read_text())).items():
            module, _, attribute = entry.partition(":")
            target = SOURCE.parent.joinpath(*module.split(".")).with_suffix(".py")
            assert target.is_file(), f"{name}: there is no {target}"
            defined = {getattr(node, "name", None) for node in ast.parse(target.read_text()).body}
            assert attribute in defined, f"{name}: {module} has no {attribute}"


def test_wrong_arrows_are_seen_even_inside_functions() -> None:
    tree = ast.parse("if TYPE_CHECKING:\n    import chronas.cli\ndef f():\n    from chronas.search import x\n")
    assert list(_imports(tree)) == [("chronas.search", "x")]
    assert _wrong_arrow(SOURCE / "spaces" / "darts.py", "chronas.search")
    assert _wrong_arrow(SOURCE / "files.py", "chronas.spaces")
    assert not _wrong_arrow(SOURCE / "search" / "bilevel.py", "chronas.spaces")
