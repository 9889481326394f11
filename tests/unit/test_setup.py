"""What the set-up does on machines that have, and do not have, what corun needs. The tools are stand-ins."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "install-system-packages.sh"
_REAL = ("sh", "echo")


def set_up(folder: Path, *, user: int, tools: tuple[str, ...], failing: str = "nothing") -> tuple[int, str, str]:
    """Exit code, packages that were installed and standard error on a machine with only these tools."""
    programs = folder / "bin"
    programs.mkdir()
    for name in _REAL:
        real = shutil.which(name)
        assert real is not None
        (programs / name).symlink_to(real)
    stand_ins = {
        "id": f"echo {user}",
        "python3": "exit 0",
        "ls": "exit 1",  # no Vulkan driver
        "apt-get": f'case "$*" in *{failing}*) exit 100;; install*) echo "$*" >> {folder}/installed;; esac',
        **dict.fromkeys(tools, "exit 0"),
    }
    for name, body in stand_ins.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    ended = subprocess.run(
        ["sh", str(SCRIPT)],
        env={"PATH": str(programs)},
        executable=str(programs / "sh"),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    installed = folder / "installed"
    return ended.returncode, installed.read_text() if installed.exists() else "", ended.stderr


def test_root_gets_everything_installed(tmp_path: Path) -> None:
    code, installed, _ = set_up(tmp_path, user=0, tools=())
    assert code == 0
    for package in ("nodejs", "npm", "chromium", "firefox-esr", "mesa-vulkan-drivers"):
        assert package in installed.split()


def test_root_goes_on_when_firefox_cannot_be_had(tmp_path: Path) -> None:
    code, installed, said = set_up(tmp_path, user=0, tools=("node", "npm"), failing="firefox-esr")
    assert (code, "chromium" in installed) == (0, True)
    assert "note: going on without firefox-esr mesa-vulkan-drivers" in said


def test_root_is_stopped_when_chromium_cannot_be_had(tmp_path: Path) -> None:
    code, _, _ = set_up(tmp_path, user=0, tools=("node", "npm"), failing="chromium")
    assert code != 0


def test_a_plain_user_is_told_what_is_required_and_what_is_good_to_have(tmp_path: Path) -> None:
    code, installed, said = set_up(tmp_path, user=1000, tools=("node", "npm"))
    assert (code, installed) == (1, "")
    assert "corun needs these packages of your system: chromium" in said
    assert "Firefox too with these packages of your system: firefox-esr mesa-vulkan-drivers" in said


def test_a_plain_user_who_has_chromium_goes_on(tmp_path: Path) -> None:
    code, _, said = set_up(tmp_path, user=1000, tools=("node", "npm", "chromium"))
    assert code == 0
    assert "firefox-esr" in said
    assert "corun needs" not in said


def test_nothing_is_said_or_done_where_nothing_is_missing(tmp_path: Path) -> None:
    if not list(Path("/usr/share/vulkan/icd.d").glob("lvp_icd*.json")):
        pytest.skip("this machine has no Vulkan driver to find")
    ended = subprocess.run(
        ["sh", str(SCRIPT)], env=dict(os.environ), capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
