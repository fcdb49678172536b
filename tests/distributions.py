"""Third parties' distributions for tests: the real packages, and small ones written on the spot."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

THIRD_PARTY = Path(__file__).parent / "thirdparty"


def written(
    site: Path,
    name: str,
    modules: Mapping[str, str],
    entry_points: Mapping[str, str],
    version: str = "1.2.3",
    requires: Iterable[str] = ("nbdl",),
) -> Path:
    """Write a distribution as pip would install it.

    Args:
        site: the folder that takes the place of site-packages.
        modules: texts by file name.
        entry_points: of the group nbdl: modules by name.
    """
    for file, text in modules.items():
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_text(textwrap.dedent(text))
    metadata = site / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    head = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {one}" for one in requires),
    ]
    (metadata / "METADATA").write_text("\n".join(head) + "\n")
    points = [f"{point} = {module}" for point, module in entry_points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[nbdl]", *points]) + "\n")
    return site


def pip_installed(site: Path, *names: str) -> Path:
    """The packages of tests/thirdparty, installed by pip from copies: a build writes beside its sources.

    Raises:
        ModuleNotFoundError: there is no pip.
    """
    copies = [shutil.copytree(THIRD_PARTY / name, site.parent / "sources" / name) for name in names]
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--quiet", "--target", str(site)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, *map(str, copies)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and "No module named pip" in done.stderr:
        raise ModuleNotFoundError("pip")
    assert done.returncode == 0, done.stderr
    return site


def run(site: Path | None, *command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python beside these distributions, with nothing switched off but by `environment`."""
    settings = {key: value for key, value in os.environ.items() if not key.endswith("_PLUGINS")} | environment
    if site is not None:
        settings["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=cwd, env=settings, check=False
    )


def answer(site: Path | None, code: str, cwd: Path, **environment: str) -> Any:
    """What code prints last, as JSON."""
    done = run(site, "-c", textwrap.dedent(code), cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def cli(site: Path | None, command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of nbdl."""
    return run(site, "-m", "nbdl", *command.split(), cwd=cwd, **environment)
