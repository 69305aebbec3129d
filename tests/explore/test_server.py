from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronas.errors import MissingExtraError, UsageError
from chronas.explore import Settings, serve
from chronas.explore.server import (
    allowed_hosts,
    free_port,
    is_loopback,
    read_arguments,
    streamlit_options,
    write_arguments,
)

paths = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1).map(
    lambda name: Path("/data", name)
)


@given(files=st.lists(paths, max_size=4).map(tuple), accuracies=st.none() | paths)
def test_the_script_is_told_the_files(files: tuple[Path, ...], accuracies: Path | None) -> None:
    assert read_arguments(write_arguments(files, accuracies)) == (files, accuracies)


def test_nobody_is_told_of_the_use_and_no_browser_opens_unless_asked() -> None:
    options = streamlit_options(Settings(), 8501)
    assert options["server_address"] == "127.0.0.1" and options["browser_gatherUsageStats"] is False
    assert options["server_headless"] is True
    assert streamlit_options(Settings(browser=True), 8501)["server_headless"] is False


def test_a_port_that_is_taken_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"cannot listen at 127.0.0.1:{port} \(.*\): choose another --port"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", 0) > 0


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot listen at 192.0.2.1:0"):
        free_port("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("host", "only_here"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("192.0.2.1", False)],
)
def test_what_others_can_reach_is_known(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here


def test_without_streamlit_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streamlit", None)
    monkeypatch.setitem(sys.modules, "streamlit.web", None)
    with pytest.raises(MissingExtraError, match=r"needs streamlit: pip install 'chronas\[explore\]'"):
        serve(Settings(), (), None, print)


def test_only_names_of_this_machine_are_answered_unless_all_are_let_in() -> None:
    assert allowed_hosts("127.0.0.1") == ["127.0.0.1", "localhost", "[::1]"]
    assert "board.local" in allowed_hosts("board.local") and "*" not in allowed_hosts("board.local")
    assert allowed_hosts("0.0.0.0") == ["*"]
