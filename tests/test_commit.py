"""Steps of several files: all of them or none, also if the process is killed between any two file events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chronas.errors import DataError
from chronas.files import Commit, finish_commit, other_names, temporary_prefix, whole_folder, write_text

KILLED = """
import os, sys
from pathlib import Path
from chronas.files import Commit, whole_folder, write_text
kind, folder, last = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
seen = 0
def trace(event, arguments):
    global seen
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "shutil.rmtree") and str(folder) in str(arguments):
        seen += 1
        if seen == last:
            os._exit(9)
sys.addaudithook(trace)
if kind == "commit":
    with Commit(folder / "a.txt") as commit:
        for name in ("a.txt", "b.txt", "c.txt"):
            write_text(commit.staged(folder / name), name)
else:
    with whole_folder(folder / "run") as unfinished:
        write_text(unfinished / "run.json", "{}")
        write_text(unfinished / "data.json", "{}")
"""


def killed(kind: str, folder: Path, event: int) -> bool:
    """Whether a process was killed at this event of its files."""
    command = [sys.executable, "-c", KILLED, kind, str(folder), str(event)]
    return subprocess.run(command, check=False).returncode == 9


def finished(folder: Path) -> None:
    """What the same command does again."""
    if not finish_commit(folder / "a.txt"):
        with Commit(folder / "a.txt") as commit:
            for name in ("a.txt", "b.txt", "c.txt"):
                write_text(commit.staged(folder / name), name)


def test_a_commit_is_finished_wherever_it_was_killed(tmp_path: Path) -> None:
    event = 0
    while killed("commit", folder := tmp_path / str(event), event + 1):
        there = {name for name in ("a.txt", "b.txt", "c.txt") if (folder / name).exists()}
        assert not there or (folder / ".a.txt.commit").exists() or len(there) == 3
        finished(folder)
        assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.txt", "c.txt"]
        assert all(path.read_text() == path.name for path in folder.iterdir())
        event += 1
    assert event > 10


def test_a_folder_is_whole_or_not_there_wherever_it_was_killed(tmp_path: Path) -> None:
    event = 0
    while killed("folder", parent := tmp_path / str(event), event + 1):
        there = parent / "run"
        assert not there.exists() or {path.name for path in there.iterdir()} == {"run.json", "data.json"}
        if not there.exists():
            with whole_folder(there) as unfinished:
                write_text(unfinished / "run.json", "{}")
        assert [path.name for path in parent.iterdir()] == ["run"], "nothing of the killed process is left"
        event += 1
    assert event > 5


def test_an_error_inside_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "run") as unfinished:
        write_text(unfinished / "a", "a")
        _ = 1 / 0
    with pytest.raises(ZeroDivisionError), Commit(tmp_path / "a") as commit:
        write_text(commit.staged(tmp_path / "a"), "a")
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_something_else_made_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write"), whole_folder(tmp_path / "run") as unfinished:
        write_text(unfinished / "a", "mine")
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "a").write_text("theirs")
    assert (tmp_path / "run" / "a").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("names", [{"/etc/passwd": "x"}, {"a": "../x"}, {"a": "b"}, 3])
def test_a_list_of_files_that_was_changed_is_refused(names: object, tmp_path: Path) -> None:
    (tmp_path / ".a.commit").write_text(json.dumps({"schema": "chronas.commit/2", "files": names}))
    with pytest.raises(DataError, match="list of files to write"):
        finish_commit(tmp_path / "a")


def test_temporary_files_of_others_that_are_alive_stay(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "1")
    (tmp_path / f".a.00000000-{os.getpid()}-abc").write_text("another machine's")
    (tmp_path / ".a.mine").write_text("a user's")
    write_text(tmp_path / "a", "2")
    assert len(list(tmp_path.iterdir())) == 3


def test_what_is_left_of_a_killed_write_is_not_a_users_file(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    host = temporary_prefix("a").split(".")[2].partition("-")[0]
    for name, pid in (("ended", 2**22 + 1), ("alive", process.pid)):
        (tmp_path / f".a.{host}-{pid}-{name}").touch()
    (tmp_path / "a").touch()
    assert other_names(tmp_path, ["a"]) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".a.{host}-{process.pid}-alive", "a"]
    (tmp_path / ".a.mine").touch()
    assert other_names(tmp_path, ["a"]) == [".a.mine"]
    process.communicate()
