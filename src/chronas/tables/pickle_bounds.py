"""Checks what a pickle would build before it is built: how deep, how large, and that it ends.

A few bytes can build tuples a million deep (hashing them ends the process), lists that double at each step (reading
them never ends), or a memo of gigabytes. Here the instructions are walked through with the depth and the number of
values of each thing in place of the thing. Instructions and their meaning: the module `pickletools`.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chronas.errors import DataError

DEEPEST = 64
MOST_STEPS = 5_000_000  # values that are pushed or stored; each takes some hundred bytes
MOST_VALUES = 20_000_000  # of all things together, where a thing that is used twice counts twice
VALUE_BYTES = 8  # bytes of a text or of a number that count as one value
PLAIN = {"EMPTY_LIST", "EMPTY_TUPLE", "EMPTY_DICT", "EMPTY_SET", "NONE", "NEWTRUE", "NEWFALSE"}  # have no argument


@dataclass(slots=True)
class _Thing:
    """A value's number of levels and of values inside it, and whether it is part of another value."""

    depth: int = 0
    values: int = 1
    used: bool = False

    def take(self, parts: list[_Thing]) -> None:
        if self.used or any(part is self for part in parts):
            raise DataError("has a container that contains itself, or changes later: it is not read")
        self.depth = max([self.depth, *(part.depth + 1 for part in parts)])
        self.values += sum(part.values for part in parts)
        if self.depth > DEEPEST:
            raise DataError(f"is over {DEEPEST} levels deep: it is not read")
        if self.values > MOST_VALUES:
            raise DataError(f"has over {MOST_VALUES:,} values: it is not read")
        for part in parts:
            part.used = True


class _Machine:
    def __init__(self) -> None:
        self.stack: list[_Thing | None] = []  # None is a mark
        self.memo: dict[int, _Thing] = {}
        self.steps = 0  # values that were pushed or stored, also those that were dropped again
        self.built = 0  # values that REDUCE and BUILD copied

    def push(self, name: str, argument: object) -> None:
        size = len(argument) if isinstance(argument, str | bytes | bytearray) else 0
        size = argument.bit_length() // 8 if isinstance(argument, int) else size
        if argument is None and name not in PLAIN:
            raise DataError(f"has the instruction {name}, which no data needs: it is not read")
        self.stack.append(_Thing(values=1 + size // VALUE_BYTES))
        self.count()

    def count(self) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise DataError(f"has over {MOST_STEPS:,} values: it is not read")

    def put(self, number: int) -> None:
        self.count()
        if not 0 <= number <= 2 * len(self.memo) + 1000:
            raise DataError(f"stores a value as number {number}, after {len(self.memo)} others: it is not read")
        self.memo[number] = self.top()

    def top(self) -> _Thing:
        thing = self.stack[-1]
        if thing is None:
            raise ValueError("a mark stands where a value should")
        return thing

    def popped(self, count: int) -> list[_Thing]:
        parts: list[_Thing] = []
        for _ in range(count):
            parts.append(self.top())
            self.stack.pop()
        return parts

    def marked(self) -> list[_Thing]:
        parts: list[_Thing] = []
        while (thing := self.stack.pop()) is not None:
            parts.append(thing)
        return parts

    def make(self, parts: list[_Thing], *, copied: bool = False) -> None:
        self.stack.append(_Thing())
        self.add(parts, copied=copied)

    def add(self, parts: list[_Thing], *, copied: bool = False) -> None:
        self.top().take(parts)
        if copied:
            self.built += sum(part.values for part in parts)
            if self.built > MOST_VALUES:
                raise DataError(f"builds over {MOST_VALUES:,} values: it is not read")


Action = Callable[[_Machine, Any], object]  # of the machine and the instruction's argument
ACTIONS: Mapping[str, Action] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda *_: None),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda machine, number: machine.put(number)),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"), lambda machine, number: machine.stack.append(machine.memo[number])
    ),
    **dict.fromkeys(("APPENDS", "SETITEMS", "ADDITEMS"), lambda machine, _: machine.add(machine.marked())),
    **dict.fromkeys(("LIST", "TUPLE", "DICT", "FROZENSET"), lambda machine, _: machine.make(machine.marked())),
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "MARK": lambda machine, _: machine.stack.append(None),
    "POP_MARK": lambda machine, _: machine.marked(),
    "POP": lambda machine, _: machine.stack.pop(),
    "DUP": lambda machine, _: machine.stack.append(machine.top()),
    "APPEND": lambda machine, _: machine.add(machine.popped(1)),
    "SETITEM": lambda machine, _: machine.add(machine.popped(2)),
    "TUPLE1": lambda machine, _: machine.make(machine.popped(1)),
    "TUPLE2": lambda machine, _: machine.make(machine.popped(2)),
    "TUPLE3": lambda machine, _: machine.make(machine.popped(3)),
    "STACK_GLOBAL": lambda machine, _: machine.make(machine.popped(2)),
    "REDUCE": lambda machine, _: machine.make(machine.popped(2), copied=True),
    "BUILD": lambda machine, _: machine.add(machine.popped(1), copied=True),
}


def require_bounded(content: bytes) -> None:
    """Walk through a pickle's instructions without building anything.

    Raises:
        DataError: what it builds would be too deep or too large, contains itself, or needs an unusual instruction.
        ValueError: it is no pickle; `IndexError` and `KeyError` say the same.
    """
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(content):
        action = ACTIONS.get(opcode.name)
        if action is None:
            machine.push(opcode.name, argument)
        else:
            action(machine, argument)
