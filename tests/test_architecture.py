"""The house rules that the source itself tells: read from the files, nothing is imported.

The towers stand on `spaces` and `networks` and meet in `reports` and `runs`:

    cost:      devices > measurement > tables > predictors
    learning:  data > training > supernets > search
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "chronas"
GROUND = ("spaces", "networks")
COST = ("devices", "measurement", "tables", "predictors")
LEARNING = ("data", "training", "supernets", "search")
ROOF = ("reports", "runs", "api", "explore", "cli", "testing")
OPEN = {
    "errors",
    "units",
    "files",
    "progress",
    "pareto",
    "registry",
    "records",
    "names",
    "reading",
    "arguments",
}  # may be imported anywhere
FORBIDDEN = {
    "spaces": {"torch", "polars"},
    "networks": {"polars", "sklearn", "plotly"},
    **{folder: {"polars"} for folder in LEARNING},
}
WHEN_ASKED = {"data/parquet.py": {"polars"}}  # no other dependency reads Parquet; loaded when such a file is
REACHES_UP = "spaces/topologies/"  # a topology brings all its behaviour: its methods import what builds networks
NAMES_ABOVE = ("spaces/operations.py", "progress.py")  # import strings of what gives a lower thing a form
ENTRY = re.compile(r"chronas(\.\w+)+:\w+")
RELATIVE = {"what", "which", "how", "whose", "where", "those"}  # "whether" says what a boolean is
FILES = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}


@cache
def tree_of(file: str) -> ast.Module:
    return ast.parse(FILES[file].read_text())


def folder_of(file: str) -> str:
    name = file.partition("/")[0].removesuffix(".py")
    return {"__init__": "chronas", "__main__": "cli"}.get(name, name)


def below(folder: str) -> set[str]:
    """The folders that a folder may import from."""
    for tower in (COST, LEARNING):
        if folder in tower:
            return {*GROUND, *tower[: tower.index(folder)]}
    if folder in ROOF:
        return {*GROUND, *COST, *LEARNING, *ROOF[: ROOF.index(folder)]}
    return set(GROUND[: GROUND.index(folder)])


def walk(node: ast.AST, *, functions: bool = True) -> Iterator[ast.AST]:
    """All nodes that can run, those inside functions if wanted; what only type checkers read is left out."""
    for child in ast.iter_child_nodes(node):
        checked = isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"
        if not checked and (functions or not isinstance(child, ast.FunctionDef)):
            yield child
            yield from walk(child, functions=functions)


def imports(tree: ast.AST, *, functions: bool = True) -> Iterator[tuple[str, str | None]]:
    """(module, name) of every import, those inside functions too if wanted; name is None for `import module`."""
    for node in walk(tree, functions=functions):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            yield from ((str(node.module), alias.name) for alias in node.names)


def entries(tree: ast.AST) -> dict[str, str]:
    """Names and import strings of the literal dicts of names in a file."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                constants = isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
                if constants and ENTRY.fullmatch(f"{value.value}"):
                    found[str(key.value)] = str(value.value)
    return found


def wrong_arrow(file: str, module: str) -> bool:
    """Whether a file may not import a module of chronas."""
    target, folder = module.split(".")[1] if "." in module else "chronas", folder_of(file)
    if target in OPEN or target in ("chronas", folder) or folder == "chronas":
        return False
    return folder in OPEN or target not in below(folder)


# ---- the rules: each gives texts of what is wrong in a file


def stands_in_a_folder_of_the_design(file: str) -> Iterator[str]:
    if folder_of(file) not in {*GROUND, *COST, *LEARNING, *ROOF, *OPEN, "chronas"}:
        yield f"{folder_of(file)} is no folder of the design"


def imports_only_what_lies_below(file: str) -> Iterator[str]:
    tree = tree_of(file)
    modules = [name for name, _ in imports(tree, functions=not file.startswith(REACHES_UP))]
    modules += [entry.partition(":")[0] for entry in entries(tree).values()] if file not in NAMES_ABOVE else []
    yield from (f"imports {name}" for name in modules if name.split(".")[0] == "chronas" and wrong_arrow(file, name))


def takes_other_folders_names_from_their_public_list(file: str) -> Iterator[str]:
    for module, name in imports(tree_of(file), functions=not file.startswith(REACHES_UP)):
        parts = module.split(".")
        foreign = parts[0] == "chronas" and len(parts) > 1 and parts[1] not in {*OPEN, folder_of(file)}
        if foreign and (len(parts) > 2 or name is None or name.startswith("_")):
            yield f"from {module} import {name}"


def does_without_packages_that_its_folder_must_not_need(file: str) -> Iterator[str]:
    forbidden, when_asked = FORBIDDEN.get(folder_of(file), set()), WHEN_ASKED.get(file, set())
    for functions, wrong in ((False, forbidden), (True, forbidden - when_asked)):
        found = {name.split(".")[0] for name, _ in imports(tree_of(file), functions=functions)} & wrong
        yield from (f"imports {name}" for name in found if not file.startswith(REACHES_UP))


@cache
def names_of_entries() -> frozenset[str]:
    return frozenset(name for file in FILES if file.endswith("__init__.py") for name in entries(tree_of(file)))


def compares_no_names_of_entries(file: str) -> Iterator[str]:
    for node in ast.walk(tree_of(file)):
        operands: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            operands = [node.value]
        constants = {c.value for o in operands for c in ast.walk(o) if isinstance(c, ast.Constant)}
        if names_of_entries() & constants:
            yield f"line {operands[0].lineno} compares {sorted(names_of_entries() & constants)}"


def asks_for_no_type_of_topology(file: str) -> Iterator[str]:
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in ("isinstance", "issubclass", "type"):
            asked = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
            if not file.startswith(REACHES_UP) and any(name.endswith("Topology") for name in asked):
                yield f"line {node.lineno} asks for the type of a topology"


def names_entries_that_exist(file: str) -> Iterator[str]:
    for name, entry in entries(tree_of(file)).items():
        module, _, attribute = entry.partition(":")
        target = "/".join(module.split(".")[1:]) + ".py"
        if target not in FILES:
            target = target.replace(".py", "/__init__.py")
        if target not in FILES:
            yield f"{name}: there is no {target}"
        elif attribute not in defined(target):
            yield f"{name}: {module} has no {attribute}"


def opens_no_docstring_with_a_relative_clause(file: str) -> Iterator[str]:
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first, *_ = [*re.findall(r"\w+", ast.get_docstring(node) or ""), ""]
            if first.lower() in RELATIVE:
                yield f"line {node.body[0].lineno}: the docstring opens with {first!r}: say what the thing is or does"


def defined(file: str) -> set[str]:
    """The functions, classes and variables of a file."""
    assigned = [node.targets for node in tree_of(file).body if isinstance(node, ast.Assign)]
    names = {target.id for targets in assigned for target in targets if isinstance(target, ast.Name)}
    return names | {str(getattr(node, "name", "")) for node in tree_of(file).body}


RULES: tuple[Callable[[str], Iterator[str]], ...] = (
    stands_in_a_folder_of_the_design,
    imports_only_what_lies_below,
    takes_other_folders_names_from_their_public_list,
    does_without_packages_that_its_folder_must_not_need,
    compares_no_names_of_entries,
    asks_for_no_type_of_topology,
    names_entries_that_exist,
    opens_no_docstring_with_a_relative_clause,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file(rule: Callable[[str], Iterator[str]]) -> None:
    wrong = [f"{file}: {text}" for file in FILES for text in rule(file)]
    assert not wrong, "\n".join(["", *wrong])


def test_wrong_arrows_are_seen_even_inside_functions() -> None:
    tree = ast.parse("if TYPE_CHECKING:\n    import chronas.cli\ndef f():\n    from chronas.search import x\n")
    assert list(imports(tree)) == [("chronas.search", "x")]
    assert wrong_arrow("spaces/darts.py", "chronas.search")
    assert wrong_arrow("files.py", "chronas.spaces")
    assert wrong_arrow("search/relaxation.py", "chronas.tables")
    assert wrong_arrow("tables/table.py", "chronas.data")
    assert not wrong_arrow("search/relaxation.py", "chronas.spaces")


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Circles that Python would meet while it imports, and those that an import inside a function only hides."""
    graph = {file: {target for target in targets(file) if target != file} for file in FILES}
    done: set[str] = set()
    path: list[str] = []

    def visit(file: str) -> None:
        assert file not in path, " -> ".join([*path[path.index(file) :], file])
        if file not in done:
            path.append(file)
            for target in sorted(graph[file]):
                visit(target)
            path.pop()
            done.add(file)

    for file in FILES:
        visit(file)


def targets(file: str) -> Iterator[str]:
    """The files that a file imports from; a folder's public list stands for the files of its names."""
    for module, name in imports(tree_of(file), functions=not file.startswith(REACHES_UP)):
        parts = module.split(".")
        if parts[0] != "chronas":
            continue
        inside = "/".join(parts[1:])
        submodule = f"{inside}/{name}.py".lstrip("/")
        if f"{inside}.py" in FILES:
            yield f"{inside}.py"
        elif submodule in FILES:
            yield submodule
        elif f"{inside}/__init__.py" in FILES and folder_of(file) != parts[1] or f"{inside}/__init__.py" in FILES:
            yield f"{inside}/__init__.py"
