"""Reads a bundle's `results.jsonl`, checks it line by line, and writes it as the journal of a campaign.

So repeatability and drift are computed as for other campaigns. The order of lines does not matter. A repeated line
counts once. An incomplete last line (copied while it was written) is ignored.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chronas.arguments import path_of
from chronas.errors import DataError, MismatchError, ParseError, UsageError, reason
from chronas.files import clear_temporaries, temporary_prefix, upgraded
from chronas.measurement.bundle.runner.lines import RESULTS_SCHEMA, unsealed
from chronas.measurement.bundle.write import Manifest
from chronas.measurement.journal import Journal
from chronas.measurement.state import Header, ReferenceRound
from chronas.names import checked_name
from chronas.reading import LARGEST, parse_json, read_within, readable
from chronas.spaces import make_space

EARLIER_SCHEMA = "chronas.bundle-results/1"  # has other names for some keys; still accepted
STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _Timed(BaseModel):
    model_config = STRICT

    run: str
    round: int = Field(ge=0)
    start_s: float
    end_s: float
    samples_ms: list[Annotated[float, Field(gt=0)]]


class _NetworkLine(_Timed):
    network: int = Field(ge=0)


class _ReferenceLine(_Timed):
    block: int = Field(ge=0)
    place: int = Field(ge=0)
    background_cores: float | None = Field(ge=0)
    priority: Literal["real-time", "high", "normal"]


class _HeaderLine(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_name: str = Field(alias="schema")
    run: str
    created: str
    device: dict[str, str | int | float]
    manifest: Manifest


class Results:
    """Valid results of a bundle.

    Attributes:
        manifest: manifest of the measured bundle.
        device: fingerprint of the machine.
        created: date and time when measuring began (UTC, ISO 8601).
        rounds: by network (its index in the manifest) and index of the round.
        references: rounds of the reference network, by block, round and place.
    """

    def __init__(self, path: Path) -> None:
        """Read and check all lines.

        Raises:
            DataError: the file is missing, damaged or not a file of results, or a required line is missing.
            MismatchError: it has lines of several runs, or a manifest of another bundle is in the same folder.
        """
        self._path = path = path_of(path)
        numbered = list(_lines(path))
        headers = [content for _, content in numbered if "schema" in content]
        if len(headers) > 1:
            raise MismatchError(f"{path} holds the results of {len(headers)} runs: import each from a file of its own")
        if not headers or headers[0]["schema"] not in {RESULTS_SCHEMA, EARLIER_SCHEMA}:
            raise DataError(f"{path} should begin with a line of schema {RESULTS_SCHEMA!r}: copy the whole file again")
        try:
            header = _HeaderLine.model_validate(headers[0])
        except ValidationError as error:
            raise self._damaged(1, error) from error
        self.manifest, self.device, self.created = header.manifest, header.device, header.created
        self._check_names()
        self.rounds: dict[int, dict[int, _NetworkLine]] = {}
        self.references: dict[tuple[int, int, int], _ReferenceLine] = {}
        for number, content in numbered:
            if "schema" not in content:
                self._take(number, content, header.run)
        self._check_complete()
        self._check_beside()

    def _check_names(self) -> None:
        checked_name(self.device.get("name"), "device")
        space = make_space(self.manifest.space)
        texts = [network.architecture for network in self.manifest.networks]
        twice = [text for text, count in Counter(texts).items() if count > 1]
        try:
            for text in (self.manifest.reference.architecture, *texts):
                space.parse(text)
        except ParseError as error:
            raise self._damaged(1, f"its manifest has a network that is none of {space.name}: {error}") from error
        if twice:
            raise self._damaged(1, f"its manifest has the network {twice[0]} twice")

    def _take(self, number: int, content: dict[str, Any], run: str) -> None:
        if content.get("run") != run:
            raise MismatchError(f"line {number} of {self._path} is of another run: import each run's own file")
        try:
            if "network" in content:
                network = _NetworkLine.model_validate(content)
                known = network.network < len(self.manifest.networks)
                earlier = self.rounds.setdefault(network.network, {}).setdefault(network.round, network) != network
                line: _Timed = network
                repeats = self.manifest.plan.repeats
            else:
                reference = _ReferenceLine.model_validate(content)
                known = reference.block * self.manifest.plan.block < len(self.manifest.networks)
                key = (reference.block, reference.round, reference.place)
                earlier = self.references.setdefault(key, reference) != reference
                line = reference
                repeats = (self.manifest.plan.repeats + 1) // 2
        except ValidationError as error:
            raise self._damaged(number, error) from error
        if earlier or not known or line.round >= self.manifest.plan.max_rounds or len(line.samples_ms) != repeats:
            raise self._damaged(number, "it does not fit its plan, or the lines before it")

    def _check_complete(self) -> None:
        """Check that no line was lost: a network's rounds are consecutive, each after a round of the reference."""
        plan = self.manifest.plan
        for network, rounds in self.rounds.items():
            starts = [(network // plan.block, index, 0) for index in rounds if plan.reference_every]
            if sorted(rounds) != list(range(len(rounds))) or not self.references.keys() >= set(starts):
                text = self.manifest.networks[network].architecture
                raise DataError(f"{self._path} lacks a round of {text}: lines were lost, copy the whole file again")

    def _check_beside(self) -> None:
        beside = self._path.with_name("manifest.json")
        if beside.exists() and read_manifest(beside) != self.manifest:
            raise MismatchError(f"{self._path} holds the results of another bundle than {beside}: keep them apart")

    def _damaged(self, number: int, why: Exception | str) -> DataError:
        text = why if isinstance(why, str) else reason(why)
        return DataError(f"line {number} of {self._path} is damaged ({text}): copy the whole file again")

    def write_journal(self, path: Path) -> None:
        """Write the journal of a campaign with these measurements; it is written completely or not at all.

        Raises:
            UsageError: `path` exists.
            DataError: no network has all rounds of the plan yet, or the journal cannot be written.
        """
        if path.exists():
            raise UsageError(f"{path} exists; choose another name, nothing is overwritten")
        plan = self.manifest.plan
        if not any(len(rounds) >= plan.rounds for rounds in self.rounds.values()):
            raise DataError(f"no network in {self._path} has its {plan.rounds} rounds yet: let run.py go on")
        texts = [network.architecture for network in self.manifest.networks]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            clear_temporaries(path.parent, path.name)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=temporary_prefix(path.name)) as folder:
                unfinished = Path(folder) / path.name
                with Journal(unfinished, self._header()) as journal:
                    journal.ask(texts)
                    for network, rounds in self.rounds.items():
                        for index, line in rounds.items():
                            journal.add(texts[network], index, line.start_s, line.end_s, line.samples_ms)
                    for key, timed in sorted(self.references.items()):
                        times = (timed.start_s, timed.end_s, tuple(timed.samples_ms))
                        journal.add_reference(ReferenceRound(*key, *times, timed.background_cores, timed.priority))
                unfinished.rename(path)
        except OSError as error:
            raise DataError(f"cannot write {path}: {error.strerror}; choose another folder") from error

    def _header(self) -> Header:
        manifest = self.manifest
        return Header(
            space=make_space(manifest.space).name,
            size=manifest.size,
            device=self.device,
            plan=manifest.plan,
            reference=manifest.reference.architecture,
            created=self.created,
            version=manifest.version,
        )


def read_manifest(path: Path) -> Manifest:
    """The manifest of a bundle.

    Raises:
        DataError: the file is missing, damaged or not a manifest.
    """
    path = path_of(path)
    content = read_within(path, LARGEST["json"])
    with readable(path, "manifest of a bundle", "copy it again"):
        return Manifest.model_validate(upgraded(parse_json(content)))


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and content of each line, each once, without an incomplete last one."""
    try:
        content = read_within(path, LARGEST["table"])
    except DataError as error:
        raise DataError(f"{error}; name the results.jsonl of a bundle") from error
    texts = content[: content.rfind(b"\n") + 1].decode(errors="replace").split("\n")[:-1]
    if not texts:
        raise DataError(f"{path} holds no whole line: let run.py go on, or copy the whole file again")
    for text, number in reversed({text: number for number, text in reversed([*enumerate(texts, 1)])}.items()):
        found = upgraded(unsealed(text))
        if found is None:
            raise DataError(f"line {number} of {path} is damaged or no result of run.py: copy the whole file again")
        yield number, found
