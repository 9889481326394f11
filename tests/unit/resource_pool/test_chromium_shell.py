"""The headless shell of Chromium that comes from npm."""

from __future__ import annotations

from pathlib import Path

import pytest

from corun.errors import InstallFailed
from corun.resource_pool.browser import chromium_shell

_FOLDER = Path(chromium_shell.__file__).parent


def test_another_processor_is_told_so_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(InstallFailed, match="x86-64 Linux only; this is aarch64"):
        chromium_shell.install()
    assert list(tmp_path.iterdir()) == []


def test_without_npm_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InstallFailed, match="apt install nodejs npm"):
        chromium_shell.install()


def test_an_npm_that_fails_is_quoted_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tools, cache = tmp_path / "tools", tmp_path / "cache"
    tools.mkdir()
    for name in ("npm", "node"):
        (tools / name).write_text("#!/bin/sh\necho first >&2\necho 'no network' >&2\nexit 1\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    with pytest.raises(InstallFailed, match="npm: no network"):
        chromium_shell.install()
    assert chromium_shell.find() is None
    assert [each.name for each in cache.rglob("*") if each.is_file()] == []


def test_the_lock_file_pins_every_package_by_its_content_and_names_no_host() -> None:
    lock = (_FOLDER / "package-lock.json").read_text(encoding="utf-8")
    assert "http" not in lock
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/')
