"""nbdl from a checkout, without installing it: paths, the metadata that names the standard plugin, a place for CUDA."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]
ROOT = SCRIPTS.parent
STAND_IN = Path(__file__).with_name("stand_in")
TOOLKIT = Path("/usr/local/cuda")


def write_metadata(folder: Path) -> None:
    """What an installed nbdl would have told importlib.metadata: its name, version and entry points."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    info.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items()), ""]
    info.joinpath("entry_points.txt").write_text("\n".join(lines))


@functools.cache  # for once the stand-in is on the path, pluggy would seem to be there
def stands_in() -> bool:
    """Whether pluggy is missing, so that the few calls of it that the registry makes must be stood in for."""
    return importlib.util.find_spec("pluggy") is None


def paths(metadata: Path) -> list[str]:
    """What comes first on the path of this process and its children."""
    first = [metadata, ROOT, ROOT / "plugins", SCRIPTS]  # metadata first: the checkout may have older ones
    return [str(path) for path in ([*first, STAND_IN] if stands_in() else first)]


def use(metadata: Path) -> None:
    """Make nbdl importable here."""
    write_metadata(metadata)
    sys.path[:0] = [path for path in paths(metadata) if path not in sys.path]


def environment(metadata: Path, given: Mapping[str, str], simulate: bool) -> dict[str, str]:
    """The environment of the children."""
    before = given.get("PYTHONPATH", "")
    made = {**given, "PYTHONPATH": os.pathsep.join(paths(metadata) + ([before] if before else []))}
    made["PYTHONUNBUFFERED"] = "1"
    made["NUMBA_ENABLE_CUDASIM"] = "1" if simulate else "0"
    if TOOLKIT.is_dir():  # libnvvm comes from the toolkit where there is no wheel of it
        made.setdefault("CUDA_HOME", str(TOOLKIT))
        made.setdefault("CUDA_PATH", made["CUDA_HOME"])
        made["PATH"] = os.pathsep.join([given.get("PATH", ""), str(TOOLKIT / "bin")])
    return made
