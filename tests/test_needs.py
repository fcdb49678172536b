"""A file says which plugins it needs: missing, switched off, broken, of another version, or of somebody else."""

from __future__ import annotations

import json
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from distributions import run, written

RAMP = """
    from nbdl import hookimpl

    def f(x, slope=0.5):
        return slope * x

    def df(x, y, slope=0.5):
        return slope + 0.0 * x

    @hookimpl
    def register_activations(register):
        register("t_ramp", f, df)
"""
RENAMED = RAMP.replace("slope", "steepness")
WITHOUT = RAMP.replace('"t_ramp"', '"t_other"')
LAYER = """
    import nbdl
    from nbdl import hookimpl

    def scaled(x, s):
        return x * s

    class TScale(nbdl.Layer):
        def build(self, b, shape):
            self.scale = b.weight("NAME", shape, "ones")
            return shape

        def forward(self, r, x):
            return r.map(scaled, x, self.scale), None

        def backward(self, r, x, y, dy, saved):
            r.gradient(self.scale, r.sum(scaled, dy, x))
            return r.map(scaled, dy, self.scale)

    @hookimpl
    def register_layers(register):
        register("TScale", TScale)
"""
SAVE = """
    import nbdl
    from nbdl.layers import Activation, Dense
    from nbdl.units.registry import registry
    layers = [Dense(2, input_dim=3)]
    if registry.find("activations", "t_ramp"):
        layers.append(Activation(registry.get("activations", "t_ramp").target(0.25)))
    else:
        layers.append(nbdl.layers.TScale())
    nbdl.Sequential(layers, seed=1).save("model.nbdl")
"""
LOAD = """
    import nbdl
    print(getattr(nbdl.load_model("model.nbdl").layers[1], "activation", None))
"""


def python(site: Path | None, text: str, cwd: Path, **environment: str) -> tuple[int, str]:
    """Exit status, and the last line that was printed or raised."""
    done = run(site, "-c", textwrap.dedent(text), cwd=cwd, **environment)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return done.returncode, lines[-1] if lines else ""


def edited(path: Path, part: str, change: Callable[[bytes], bytes]) -> None:
    """Change one part of a model's file."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = change(parts[part])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def installed(folder: Path, text: str, version: str) -> Path:
    return written(folder, "nbdl-ramp", {"nbdl_ramp.py": text}, {"ramp": "nbdl_ramp"}, version=version)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a model that has a third party's unit, of version 1.0.0."""
    status, said = python(installed(tmp_path / "old", RAMP, "1.0.0"), SAVE, tmp_path)
    assert status == 0, said
    return tmp_path


def test_the_file_lists_distribution_version_and_units(saved: Path) -> None:
    head = json.loads(zipfile.ZipFile(saved / "model.nbdl").read("nbdl.json"))
    [third_party] = [need for need in head["plugins"] if need["distribution"] == "nbdl-ramp"]
    assert third_party == {"distribution": "nbdl-ramp", "version": "1.0.0", "units": ["activations/t_ramp"]}


def test_the_same_version_loads(saved: Path) -> None:
    assert python(saved / "old", LOAD, saved) == (0, "t_ramp(slope=0.25)")


def test_another_version_that_still_fits_loads(saved: Path) -> None:
    assert python(installed(saved / "new", RAMP, "2.0.0"), LOAD, saved)[0] == 0


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        (None, {}, "'t_ramp' of nbdl-ramp 1.0.0, which is not installed: pip install nbdl-ramp==1.0.0"),
        (RAMP, {"NBDL_DISABLE_PLUGINS": "ramp"}, "installed and switched off by NBDL_DISABLE_PLUGINS"),
        (RAMP, {"NBDL_LOAD_PLUGINS": ""}, "installed and switched off by"),
        ("import missing_thing\n", {}, "installed and broken: ModuleNotFoundError: No module named 'missing_thing'"),
        (WITHOUT, {}, "nbdl-ramp 2.0.0, which is installed, has it no more: pip install nbdl-ramp==1.0.0"),
        (RENAMED, {}, "it was saved with nbdl-ramp 1.0.0; 2.0.0 is installed: pip install nbdl-ramp==1.0.0"),
    ],
)
def test_what_is_wrong_and_what_to_do(
    saved: Path, text: str | None, environment: dict[str, str], expected: str
) -> None:
    site = None if text is None else installed(saved / "new", text, "2.0.0")
    status, said = python(site, LOAD, saved, **environment)
    assert status == 1
    assert said.startswith("nbdl.errors.ConfigError: model.nbdl")
    assert expected in said
    assert "damaged" not in said


def test_a_newer_plugin_that_refuses_a_value_is_told_apart_too(saved: Path) -> None:
    text = """
        import nbdl
        from nbdl import hookimpl

        class Ramp(nbdl.Activation):
            def __init__(self, slope=0.5):
                if slope < 0.3:
                    raise ValueError("slope must be at least 0.3")

        @hookimpl
        def register_activations(register):
            register("t_ramp", Ramp)
    """
    status, said = python(installed(saved / "new", text, "2.0.0"), LOAD, saved)
    assert status == 1
    assert "ConfigError: model.nbdl: slope must be at least 0.3. The file is whole" in said


@pytest.mark.parametrize(
    "plugins",
    [None, 5, ["x"], [{"distribution": 3, "version": "1"}], [{"distribution": "x; sh #", "version": "1"}],
     [{"distribution": "x", "version": "1", "units": 3}], [{"distribution": "x", "version": "$(sh)", "units": []}]],
)  # fmt: skip
def test_a_damaged_list_of_plugins_is_a_damaged_file(saved: Path, plugins: object) -> None:
    edited(
        saved / "model.nbdl", "nbdl.json", lambda text: json.dumps({**json.loads(text), "plugins": plugins}).encode()
    )
    status, said = python(saved / "old", LOAD, saved)
    assert status == 1
    assert "FileFormatError: model.nbdl" in said
    assert "is damaged" in said
    assert "pip install" not in said


def test_a_newer_layer_with_other_weights_is_no_damaged_file(tmp_path: Path) -> None:
    assert python(installed(tmp_path / "old", LAYER, "1.0.0"), SAVE, tmp_path)[0] == 0
    status, said = python(installed(tmp_path / "new", LAYER.replace("NAME", "factor"), "2.0.0"), LOAD, tmp_path)
    assert status == 1
    assert "saved with nbdl-ramp 1.0.0; 2.0.0 is installed" in said


def test_of_one_version_file_or_unit_may_be_at_fault(saved: Path) -> None:
    edited(saved / "model.nbdl", "config.json", lambda text: text.replace(b"slope", b"slopy"))
    status, said = python(saved / "old", LOAD, saved)
    assert status == 1
    assert "Either the file is damaged, or the activation 't_ramp' of nbdl-ramp 1.0.0 has changed since" in said
    assert "renamed=" in said


def test_a_damaged_file_is_said_to_be_damaged(saved: Path) -> None:
    """Of nbdl's own units: it is the file that is wrong."""
    edited(saved / "model.nbdl", "config.json", lambda text: text.replace(b'"units"', b'"unite"'))
    status, said = python(saved / "old", LOAD, saved)
    assert status == 1
    assert "FileFormatError" in said
    assert "damaged" in said


def test_an_older_file_without_a_list_of_units_still_says_what_to_install(saved: Path) -> None:

    def older(text: bytes) -> bytes:
        head = json.loads(text)
        for need in head["plugins"]:
            del need["units"]
        return json.dumps(head).encode()

    edited(saved / "model.nbdl", "nbdl.json", older)
    status, said = python(None, LOAD, saved)
    assert status == 1
    assert "pip install nbdl-ramp==1.0.0" in said
