"""The page itself: choices at the side, the plane in the middle, the network next to it, its costs below.

`show` runs from top to bottom after each change. The shown network is the best within the limit, until the user picks
another one by a click on a point or by its text; a new limit or choice returns to the best one. A network can be
downloaded as an ONNX file, or as one Python file that needs only torch; neither is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from html import escape
from pathlib import Path

import streamlit as st

from chronas.errors import ParseError
from chronas.explore import tradeoff
from chronas.explore.catalogue import Collection, Quantity
from chronas.explore.tradeoff import Plane, clicked, figure, traced
from chronas.networks import build, model_source, onnx_bytes
from chronas.spaces import Architecture, NetworkSize


def onnx_file(architecture: Architecture, size: NetworkSize) -> bytes:
    """The network with random weights as an ONNX model of batch 1, for timing on a device."""
    return onnx_bytes(build(architecture, size), size.input_shape)


def python_file(architecture: Architecture, size: NetworkSize) -> bytes:
    """The source of the network; its `network()` builds it with random weights for training."""
    return model_source(architecture, size).encode()


STYLE = f"<style>{(Path(__file__).parent / 'page.css').read_text(encoding='utf-8')}</style>"
PICKED, PLANE, TEXT, ROWS, PROBLEM = "picked", "plane", "text", "rows", "problem"
SIDEBAR = 340  # pixels, so that names of devices fit
INK = {"light": "#31333f", "dark": "#fafafa"}  # streamlit's text colours


def show(catalogue: Mapping[str, Collection]) -> None:
    """Draw the page."""
    st.set_page_config(page_title="chronas explorer", layout="wide", initial_sidebar_state=SIDEBAR)
    st.html(STYLE)
    collection, cost, goal = choices(catalogue)
    st.header("Which network fits your limit?", anchor=False)
    plane = Plane.of(cost, goal, collection.useful)
    if not len(plane.rows):
        st.html(
            f"<p class=answer>No network has both {escape(cost.label)} and {escape(goal.label)}: choose others.</p>"
        )
        return
    limit = limit_slider(plane)
    best = plane.best(limit) if collection.accuracies else None  # nothing is best where accuracies are unknown
    st.html(tradeoff.answer(plane, limit, best) if collection.accuracies else tradeoff.unknown_quality(plane, limit))
    picked = looked_at(collection, best)
    row = None if picked is None else collection.rows.get(str(picked))
    left, right = st.columns([3, 2], gap="large")
    with left:
        draw_plane(collection, plane, limit, best, row)
    with right:
        draw_network(collection, picked, picked_by_hand=PICKED in st.session_state)
    if picked is not None:
        st.subheader("Costs of this network on all devices", anchor=False)
        st.html(tradeoff.known(collection, row, cost))


def choices(catalogue: Mapping[str, Collection]) -> tuple[Collection, Quantity, Quantity]:
    """The user's choices at the side: the networks, the limited cost, and the goal."""
    with st.sidebar:
        st.subheader("chronas", anchor=False)
        title = st.selectbox(
            "Networks",
            list(catalogue),
            on_change=forget,
            help="A search space: networks that are built alike, each with another choice of operations.",
        )
        collection = catalogue[title]
        cost = st.selectbox(
            "What to limit",
            list(collection.costs),
            on_change=forget,
            help="A cost on a device. The same network can be fast on one device and slow on another.",
        )
        goals = collection.goals(cost)
        goal = st.selectbox(
            "What to make best",
            list(goals),
            on_change=forget,
            help="Accuracy, where accuracies are known (`--accuracies`), else size; or a second cost.",
        )
        st.html(f"<p class=soft>{escape(collection.costs[cost].hint)}</p><p class=soft>{escape(goals[goal].hint)}</p>")
    return collection, collection.costs[cost], goals[goal]


def limit_slider(plane: Plane) -> float:
    """The limit on the cost, in its unit."""
    lowest, highest, middle, step = plane.limits()
    limit: float = st.slider(
        f"Limit for {plain(tradeoff.lower(plane.cost.label))} ({plane.cost.unit})",
        lowest,
        highest,
        middle,
        step,
        format="%g",
        key=f"limit {plane.cost.label} {plane.goal.label}",
        on_change=forget,
        help="A network is within the limit if the upper end of its 95 % interval is.",
    )
    return limit


def looked_at(collection: Collection, best: int | None) -> Architecture | None:
    """The shown network: the picked one, or else the best within the limit."""
    picked: Architecture | None = st.session_state.get(PICKED)
    if picked is not None and picked.space is collection.space:
        return picked
    return None if best is None else collection.architectures[best]


def draw_plane(collection: Collection, plane: Plane, limit: float, best: int | None, picked: int | None) -> None:
    """Draw the plane; a click on a point picks its network."""
    shown = picked if picked is not None and picked in plane.rows else None
    st.session_state[ROWS] = traced(plane, best, shown)
    st.plotly_chart(
        figure(plane, limit, best, shown),
        key=PLANE,
        on_select=partial(pick_clicked, collection),
        selection_mode="points",
        config={"displayModeBar": False},
    )
    up = "up" if plane.goal.maximise else "down"
    st.html(
        f"<p class=soft>Each dot is a network; {up} and to the left is better. On the blue line are those that no "
        "other one beats in both. Click a dot to see the network. Drag to look closer, click twice to go back. "
        f"{tradeoff.useless(collection)}</p>"
    )


def draw_network(collection: Collection, picked: Architecture | None, *, picked_by_hand: bool) -> None:
    """Draw the shown network: its cell and its files."""
    title = "The best within your limit" if picked is not None else "No network is picked"
    st.subheader("The network you picked" if picked_by_hand else title, anchor=False)
    if picked_by_hand:
        st.button("Back to the best within the limit", on_click=forget)
    if picked is not None:
        st.html(tradeoff.drawing(picked, INK[st.context.theme.type or "light"]))
        downloads(collection, picked)
        st.html(f"<p class=genotype>{escape(str(picked))}</p>")
    st.text_input(
        "Or look at a network whose text you have",
        key=TEXT,
        on_change=partial(pick_text, collection),
        placeholder=str(collection.architectures[0]),
    )
    if problem := st.session_state.get(PROBLEM):
        st.html(f"<p class=answer role=alert>{escape(problem)}</p>")


def downloads(collection: Collection, picked: Architecture) -> None:
    """Buttons for the network's files, which are created on request."""
    onnx, python = st.columns(2)
    onnx.download_button(
        "Download ONNX",
        data=partial(onnx_file, picked, collection.size),
        file_name="model.onnx",
        mime="application/octet-stream",
        on_click="ignore",
        width="stretch",
        help="A file that runtimes on most devices read. The network is not trained: good to time it, not to use it.",
    )
    python.download_button(
        "Download Python",
        data=partial(python_file, picked, collection.size),
        file_name="model.py",
        mime="text/x-python",
        on_click="ignore",
        width="stretch",
        help="One readable file that needs only PyTorch. Train it on your images; `network()` in it builds it.",
    )


def pick_clicked(collection: Collection) -> None:
    """Pick the network whose point was clicked."""
    row = clicked(st.session_state[ROWS], st.session_state[PLANE].selection.points)
    if row is not None:
        forget()
        st.session_state[PICKED] = collection.architectures[row]


def pick_text(collection: Collection) -> None:
    """Pick the network whose text was given."""
    text = st.session_state[TEXT].strip()
    forget()
    if not text:
        return
    try:
        st.session_state[PICKED] = collection.space.parse(text)
    except ParseError as error:
        st.session_state[PROBLEM] = f"This is no network of {collection.space.name}: {error}"


def forget() -> None:
    """Return to the best network within the limit."""
    st.session_state.pop(PICKED, None)
    st.session_state.pop(PROBLEM, None)


def plain(text: str) -> str:
    """A text in which no letter has a meaning in Markdown, which streamlit uses for labels."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()<>#+-.!|$:~&" else letter for letter in text)
