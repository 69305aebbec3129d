from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from chronas.devices import hardware


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "model name\t: Fast CPU 9\ncpu family\t: 6\nmodel\t\t: 143\n\nmodel name\t: other\n",
            "Fast CPU 9 (family 6, model 143)",
        ),
        ("model name : Small Board rev 1\nBogoMIPS : 38.40\n", "Small Board rev 1"),
    ],
)
def test_linux_names_its_cpu(text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "cpuinfo")
    assert hardware.cpu_model.__wrapped__() == expected


def test_other_systems_are_asked_in_their_own_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    assert hardware.cpu_model.__wrapped__() == "arm64"
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    answer = subprocess.CompletedProcess([], 0, stdout="Apple M9\n")
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: answer)
    assert hardware.cpu_model.__wrapped__() == "Apple M9"


def test_there_is_a_core_and_a_system() -> None:
    assert hardware.usable_cores() >= 1
    assert hardware.operating_system().startswith(platform.system())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model name : x\nflags\t\t: avx512f avx512_bf16 avx512_vnni\n\nflags : avx\n", True),
        ("model name : x\nflags\t\t: avx512f amx_tile amx_bf16\n", True),
        ("processor : 0\nFeatures : fp asimd bf16 i8mm\n", True),
        ("model name : x\nflags\t\t: avx2 avx512f avx512_vnni\n", False),
        ("model name : x\n", False),
    ],
    ids=["avx512", "amx", "arm", "none", "untold"],
)
def test_bfloat16_is_what_the_cpu_says(
    text: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "cpuinfo")
    assert hardware.computes_bfloat16() == expected
    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "none")
    assert not hardware.computes_bfloat16()
