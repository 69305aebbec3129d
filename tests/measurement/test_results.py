"""What a bundle brings back: whole lines in any order are read, anything else is refused in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronas.errors import ChronasError, DataError, MismatchError, UsageError
from chronas.measurement import Manifest, Plan, Results, read_journal, read_manifest
from chronas.measurement.bundle.runner import run
from chronas.measurement.bundle.runner.lines import sealed
from tiny_bundle import NETWORKS, PLAN, write_tiny


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with its results; tests must not change it."""
    folder = tmp_path_factory.mktemp("measured") / "bundle"
    write_tiny(folder)
    assert run.main([], folder) == 0
    return folder


@pytest.fixture(scope="module")
def whole(measured: Path) -> list[str]:
    """The lines of results."""
    return (measured / "results.jsonl").read_text().splitlines(keepends=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to write results to."""
    return tmp_path_factory.mktemp("place") / "results.jsonl"


GONE = object()


def read(place: Path, lines: list[str]) -> Results:
    place.write_text("".join(lines))
    return Results(place)


def changed(line: str, **values: object) -> str:
    """The line with other values, and a checksum that fits them; `GONE` takes one out."""
    content = json.loads(line) | values
    del content["check"]
    return sealed({key: value for key, value in content.items() if value is not GONE})


def a_round(lines: list[str], key: str = "network") -> int:
    """Where the first round of a network stands, or of the reference."""
    return next(number for number, line in enumerate(lines) if f'"{key}"' in line and "schema" not in line)


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_the_order_of_lines_and_repeated_lines_do_not_matter(
    data: st.DataObject, whole: list[str], place: Path
) -> None:
    again = data.draw(st.lists(st.sampled_from(whole), max_size=4))
    shuffled = data.draw(st.permutations([*whole, *again]))
    expected, found = read(place, whole), read(place, shuffled)
    assert (found.rounds, found.references) == (expected.rounds, expected.references)
    assert (found.manifest, found.device, found.created) == (expected.manifest, expected.device, expected.created)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_results_cut_at_any_byte_are_their_whole_lines(data: st.DataObject, whole: list[str], place: Path) -> None:
    content = "".join(whole)
    cut = data.draw(st.integers(len(whole[0]), len(content)))
    place.write_text(content[:cut])
    found = Results(place)
    kept = content[:cut].count("\n") - 1
    assert sum(map(len, found.rounds.values())) + len(found.references) == kept


def test_a_changed_byte_that_changes_no_value_is_refused(whole: list[str], place: Path) -> None:
    """A tab for a space, and another digit behind those that a double keeps."""
    number = a_round(whole)
    line = changed(whole[number], start_s=1796027575.3484166)
    for same in (line.replace(": ", ":\t", 1), line.replace("3484166", "3484165", 1)):
        assert json.loads(same) == json.loads(line) and same != line
        with pytest.raises(DataError, match="damaged"):
            read(place, [*whole[:number], same, *whole[number + 1 :]])


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_changed_byte_is_refused(data: st.DataObject, whole: list[str], place: Path) -> None:
    content = bytearray("".join(whole).encode())
    position = data.draw(st.integers(0, len(content) - 2))
    content[position] ^= data.draw(st.integers(1, 255))
    place.write_bytes(content)
    with pytest.raises(ChronasError) as error:
        Results(place)
    assert "\n" not in str(error.value)


@settings(deadline=None, max_examples=40)
@given(text=st.text(max_size=60))
def test_any_other_text_is_refused(text: str, place: Path) -> None:
    for content in (text, f"{text}\n"):
        place.write_text(content)
        with pytest.raises(DataError, match="line 1 of|no whole line"):
            Results(place)


def test_a_lost_line_is_seen(whole: list[str], place: Path) -> None:
    for key in ("network", "block"):
        number = a_round(whole, key)
        with pytest.raises(DataError, match="lines were lost"):
            read(place, whole[:number] + whole[number + 1 :])
    with pytest.raises(DataError, match="should begin with a line of schema"):
        read(place, whole[1:])


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"run": "another"}, "of another run"),
        ({"network": 5}, "does not fit its plan"),
        ({"network": -1}, "network: "),
        ({"round": PLAN.max_rounds}, "does not fit its plan"),
        ({"round": True}, "round: "),
        ({"samples_ms": [1.0, 2.0]}, "does not fit its plan"),
        ({"samples_ms": [1.0, 2.0, 0.0]}, "samples_ms.2: "),
        ({"samples_ms": [1.0, 2.0, "3"]}, "samples_ms.2: "),
        ({"samples_ms": GONE}, "samples_ms: "),
        ({"start_s": "now"}, "start_s: "),
        ({"host": "mine"}, "host: "),
    ],
    ids=range(11),
)
def test_a_line_that_does_not_fit_is_refused(
    values: dict[str, object], word: str, whole: list[str], place: Path
) -> None:
    number = a_round(whole)
    with pytest.raises(ChronasError, match=f"line {number + 1} of .*{word}"):
        read(place, [*whole[:number], changed(whole[number], **values), *whole[number + 1 :]])


def test_two_answers_for_one_round_are_refused(whole: list[str], place: Path) -> None:
    for key in ("network", "block"):
        twice = changed(whole[a_round(whole, key)], start_s=1.0)
        with pytest.raises(DataError, match=f"line {len(whole) + 1} of .*the lines before it"):
            read(place, [*whole, twice])


def test_results_of_two_runs_in_one_file_are_refused(whole: list[str], place: Path) -> None:
    other = [changed(line, run="another") for line in whole]
    with pytest.raises(MismatchError, match="the results of 2 runs"):
        read(place, [*whole, *other])


def test_results_beside_another_bundle_are_refused(measured: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tiny_bundle.PLAN", PLAN.model_copy(update={"seed": 1}))
    write_tiny(tmp_path / "other")
    shutil.copy(measured / "results.jsonl", tmp_path / "other")
    with pytest.raises(MismatchError, match="another bundle than"):
        Results(tmp_path / "other" / "results.jsonl")


def test_a_header_of_another_schema_is_refused(whole: list[str], place: Path) -> None:
    with pytest.raises(DataError, match="should begin with a line of schema"):
        read(place, [changed(whole[0], schema="chronas.bundle-results/9"), *whole[1:]])
    with pytest.raises(DataError, match=r"line 1 of .* is damaged \(device"):
        read(place, [changed(whole[0], device=GONE), *whole[1:]])


@pytest.mark.parametrize(
    ("text", "message"), [(NETWORKS[0], "has the network .* twice"), ("x", "has a network that is none of")]
)
def test_a_manifest_with_a_network_twice_or_none_is_refused(
    text: object, message: str, whole: list[str], place: Path
) -> None:
    manifest = json.loads(whole[0])["manifest"]
    manifest["networks"][1]["architecture"] = str(text)
    with pytest.raises(DataError, match=message):
        read(place, [changed(whole[0], manifest=manifest), *whole[1:]])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*name the results\.jsonl of a bundle"):
        Results(tmp_path / "results.jsonl")


def test_the_journal_holds_every_sample_and_is_never_written_over(measured: Path, whole: list[str], tmp_path) -> None:
    results = Results(measured / "results.jsonl")
    results.write_journal(tmp_path / "new" / "journal.sqlite")
    state = read_journal(tmp_path / "new" / "journal.sqlite")
    assert state.networks == [str(network) for network in NETWORKS]
    expected = [line for line in map(json.loads, whole) if "network" in line and "schema" not in line]
    for line in expected:
        assert state.samples_ms[state.networks[line["network"]]][line["round"]] == line["samples_ms"]
    assert sum(map(len, state.samples_ms.values())) == len(expected)
    assert state.header.device == results.device and state.header.plan == PLAN
    assert state.header.created == results.created
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["journal.sqlite"]
    with pytest.raises(UsageError, match="nothing is overwritten"):
        results.write_journal(tmp_path / "new" / "journal.sqlite")


def test_without_a_network_that_has_its_rounds_there_is_no_journal(whole: list[str], place: Path, tmp_path) -> None:
    few = read(place, whole[: a_round(whole) + 1])
    with pytest.raises(DataError, match=r"no network in .* has its 2 rounds yet: let run\.py go on"):
        few.write_journal(tmp_path / "journal.sqlite")
    assert not list(tmp_path.iterdir())


@given(plan=st.builds(Plan, seed=st.integers(0, 2**40), block=st.integers(1, 99), interval_percent=st.floats(0.01, 50)))
def test_a_manifest_comes_back_as_it_was(plan: Plan, measured: Path, place: Path) -> None:
    manifest = read_manifest(measured / "manifest.json").model_copy(update={"plan": plan, "threads": 3})
    path = place.with_name("manifest.json.again")
    path.write_text(manifest.model_dump_json(by_alias=True))
    assert read_manifest(path) == manifest
    assert Manifest.model_validate(json.loads(path.read_text())) == manifest


@pytest.mark.parametrize("content", ["", "[]", '{"schema": "chronas.bundle/9"}', "{}"], ids=range(4))
def test_a_damaged_manifest_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match="no manifest of a bundle|is damaged"):
        read_manifest(tmp_path / "manifest.json")
    with pytest.raises(DataError, match="cannot read"):
        read_manifest(tmp_path / "none.json")
