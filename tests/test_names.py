"""Names from files and users: what passes stays as it is, what cannot be a file is refused, and nothing acts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.errors import DataError
from chronas.names import checked_name, file_name, printable, spreadsheet_cell


@pytest.mark.parametrize("name", ["raspi4", "Jetson Nano 5W", "i7-7820X @3.6GHz", "树莓派", "a.b", "-x", "=1+1"])
def test_names_of_devices_pass_unchanged(name: str) -> None:
    assert checked_name(name, "device") == file_name(name, "device") == name


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "a ", " a", "a\tb", "a\nb", "a\0b", "a\x1b[2J", "x" * 121, "\udce9", "\u202etxt.exe", "\x9b2J"),
        *(None, 3, b"raspi4", ["raspi4"]),
    ],
)
def test_what_cannot_be_a_name_is_refused(name: object) -> None:
    for gate in (checked_name, file_name):
        with pytest.raises(DataError, match="a device"):
            gate(name, "device")


@pytest.mark.parametrize(
    "name",
    [
        *("..", ".", "../x", "../../evil", "/etc/passwd", "a/b", "a\\b", "C:x", "a*", "a?", ".hidden", "a.", "CON"),
        *("nul.parquet", 'a"b', "a<b", "a|b"),
    ],
)
def test_names_that_leave_a_folder_or_mean_something_to_a_system_are_no_files(name: str) -> None:
    with pytest.raises(DataError, match="cannot be the name of a file"):
        file_name(name, "device")


@settings(max_examples=300, deadline=None)
@given(name=st.text(st.characters(), max_size=130) | st.from_regex(r"[./\\~:]{1,4}[a-z./\\]{0,6}", fullmatch=True))
def test_whatever_passes_the_gate_is_a_file_in_its_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    try:
        file = file_name(name, "device")
    except DataError as error:
        assert printable(str(error)) == str(error)
        return
    folder = tmp_path_factory.mktemp("names")
    (folder / f"{file}.parquet").write_bytes(b"")
    assert [path.parent for path in folder.iterdir()] == [folder]
    assert (folder / f"{file}.parquet").resolve().parent == folder.resolve()
    assert Path(file).name == file


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(), max_size=60))
def test_printable_text_does_nothing_to_a_terminal_and_can_be_encoded(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert printable(shown) == shown
    assert not any(ord(sign) < 32 and sign not in "\n\t" or 127 <= ord(sign) < 160 for sign in shown)
    if text.isascii() and text.isprintable():
        assert shown == text


def test_an_escape_is_shown_as_one() -> None:
    assert printable("a\x1b[2Jb\x9bc\udce9") == "a\\x1b[2Jb\\x9bc\\udce9"


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x","y")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_is_a_text_in_a_spreadsheet(text: str) -> None:
    assert spreadsheet_cell(text) == f"'{text}"
    assert spreadsheet_cell("|nor_conv_3x3~0|") == "|nor_conv_3x3~0|"
