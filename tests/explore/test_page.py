"""The page without a browser: streamlit's own test harness runs the script and tells what it would show."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chronas.devices import make_device
from chronas.explore import server
from chronas.spaces import SPACES, make_space
from chronas.tables import CostTable
from explored import NETWORKS, USELESS, accuracies, latencies, write_accuracies, write_table

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

pytest.importorskip("streamlit", reason="streamlit is not installed")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [
        write_table(tmp_path / "a.parquet", latencies(60), hardware="chip A"),
        write_table(tmp_path / "b.parquet", latencies(20, seed=9), NETWORKS[40:], hardware="*chip* [B](http://b)"),
    ]


def page(monkeypatch: pytest.MonkeyPatch, files: list[Path], accuracy: Path | None = None) -> AppTest:
    from streamlit.testing.v1 import AppTest

    monkeypatch.setattr(sys, "argv", ["app.py", *server.write_arguments(files, accuracy)])
    app = AppTest.from_file(str(server.SCRIPT), default_timeout=60).run()
    assert not app.exception
    return app


def shown(app: AppTest) -> str:
    """All HTML that the page's own code writes."""
    return "\n".join(element.proto.body for element in app.get("html"))


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, files: list[Path], tmp_path: Path) -> AppTest:
    return page(monkeypatch, files, write_accuracies(tmp_path / "accuracy.parquet", accuracies(60)))


def test_the_first_view_has_an_answer_a_cell_and_costs(app: AppTest) -> None:
    assert [box.value for box in app.selectbox] == [
        "nasbench201, 8 x 8 pixels, 4 classes, width 4, depth 1",
        "Time on chip A, simulated",
        "Accuracy",
    ]
    text = shown(app)
    assert "of images rightly" in text and "img class" in text and "chip A, simulated" in text


def test_a_tighter_limit_changes_the_answer(app: AppTest) -> None:
    (slider,) = app.slider
    slider.set_value(slider.max)
    best = NETWORKS[max(range(60), key=lambda number: accuracies(60)[number])]
    assert f">{best}<" in shown(app.run())
    app.slider[0].set_value(slider.min)
    text = shown(app.run())
    assert f">{best}<" not in text and "No network stays within" in text and "img class" not in text


def test_a_network_can_be_given_as_text_until_the_limit_changes(app: AppTest) -> None:
    wanted = next(n for n in NETWORKS[:40] if f">{n}<" not in shown(app))
    app.text_input[0].set_value(f" {wanted} ")
    text = shown(app.run())
    assert f">{wanted}<" in text and "not measured" in text
    assert "The network you picked" in [heading.value for heading in app.subheader]
    app.button[0].click()
    assert f">{wanted}<" not in shown(app.run())


def test_a_text_that_is_no_network_says_why_and_a_good_one_mends_it(app: AppTest) -> None:
    app.text_input[0].set_value("<b>|conv~0|</b>")
    text = shown(app.run())
    assert "This is no network of nasbench201" in text and "&lt;b&gt;" in text and "<b>|" not in text
    app.text_input[0].set_value(str(NETWORKS[3]))
    assert "This is no network" not in shown(app.run())


def test_a_network_that_no_table_has_is_drawn_and_not_measured(app: AppTest) -> None:
    stranger = next(n for n in NETWORKS[0].space.sample(99, seed=7) if n not in NETWORKS)
    app.text_input[0].set_value(str(stranger))
    text = shown(app.run())
    assert f">{stranger}<" in text and "img class" in text and text.count("not measured") == 2


def test_without_accuracies_size_or_a_second_cost_is_weighed(
    monkeypatch: pytest.MonkeyPatch, files: list[Path]
) -> None:
    app = page(monkeypatch, files)
    assert app.selectbox[2].value == "Parameters that reach the answer, the more the better"
    assert "No accuracies are known of these networks, so none can be called best" in shown(app)
    assert "the best network" not in shown(app) and "of images rightly" not in shown(app)
    app.selectbox[2].set_value("Time on *chip* [B](http://b), simulated")
    assert "Of 40 more it is not known." in shown(app.run())
    app.selectbox[1].set_value("Multiplications")
    app.selectbox[2].set_value("Parameters")
    assert "60 networks are within the limit" in shown(app.run())


@pytest.mark.parametrize("name", SPACES)
def test_networks_of_every_space_are_shown_with_their_sizes(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    space = make_space(name)
    networks = space.sample(4, seed=1)
    rows = [(network, 1.0 + number) for number, network in enumerate(networks)]
    size = next(iter(space.sizes.values()))
    CostTable.from_rows(space, size, make_device("simulated"), rows).save(tmp_path / "a.parquet")
    app = page(monkeypatch, [tmp_path / "a.parquet"])
    assert list(app.selectbox[2].options) == [
        "Parameters that reach the answer, the more the better",
        "Multiplications",
        "Parameters",
    ]
    app.text_input[0].set_value(str(networks[2]))
    text = shown(app.run())
    assert "3.00 ms" in text and ("img class" in text or "what is there" in text)


def test_networks_that_no_image_reaches_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = write_table(tmp_path / "u.parquet", [0.1, *latencies(5)], [USELESS, *NETWORKS])
    app = page(monkeypatch, [table])
    text = shown(app)
    assert "Left out, because nothing of the image reaches their answer: 1." in text and "not known." not in text
    assert "of 5 networks are within the limit" in text and f">{USELESS}<" not in text
    app.text_input[0].set_value(str(USELESS))
    assert "0.100 ms" in shown(app.run())


def test_names_from_files_are_no_markdown(app: AppTest) -> None:
    app.selectbox[1].set_value("Time on *chip* [B](http://b), simulated")
    label = app.run().slider[0].label
    assert r"\*chip\* \[B\]\(http\:" in label


def test_devices_that_share_no_network_say_so(
    monkeypatch: pytest.MonkeyPatch, files: list[Path], tmp_path: Path
) -> None:
    alone = write_table(tmp_path / "c.parquet", [1.0, 2.0], NETWORKS[:2], hardware="chip C")
    app = page(monkeypatch, [files[1], alone])
    app.selectbox[2].set_value("Time on chip C, simulated")
    assert "No network has both" in shown(app.run())
