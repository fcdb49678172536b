"""`nbdl plugins new`: every kind's package works as it is written, and its own tests catch what is wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import nbdl
from nbdl.cli.app import app
from nbdl.errors import ConfigError, PluginError
from nbdl.plugins import scaffold
from nbdl.units.registry import registry

ROOT = Path(__file__).resolve().parents[1]
KINDS = [entry.name for entry in registry.entries("templates") if entry.owner.distribution == "nbdl"]
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)

# Of each kind a mistake that an author might make: what is replaced, by what, and the check that must find it.
PLANTED = {
    "activation": ("return 2.0 * alpha * max(x, 0.0)", "return 2.0 * max(x, 0.0)", "derivative"),
    "loss": ("return e / (1.0 + 0.5 * e * e)", "return e / (1.0 + e * e)", "derivative"),
    "optimizer": ("w - learning_rate * m, m", "w + learning_rate * m, m", "descends"),
    "regularizer": ("strength * 2.0 * w", "strength * w", "derivative"),
    "constraint": ("min(max(w, -limit), limit)", "min(limit, max(-limit, w))", "NaN in, NaN out"),
    "initializer": (
        "return random.uniform(shape, -limit, limit)",
        "return random.uniform(shape, 0, limit) * __import__('random').random()",
        "initial values",
    ),
    "layer": ("r.gradient(self.bias, r.sum(same, dz))", "r.gradient(self.bias, r.sum(same, ds))", "derivative"),
    "metric": ("targets=", "target=", "units are found"),
    "callback": ("Formula: stop", "It stops", "documented"),
    "schedule": ("self.peak * min(share, share**-0.5)", "self.peak - 0.01 * step", "a rate for each step"),
    "dataset": ("% TEST_EVERY == 0", "< len(x) * np.random.random()", "the same each time"),
    "reader": ("except ValueError as error", "except KeyError as error", "refuses what it cannot read"),
    "exporter": ('"model": fingerprint(model), ', "", "writes a whole file"),
    "recipe": ("Dense(last.units,", "Dense(1,", "plans a net that trains"),
    "command": ('    """Tell the size of the weights of MODEL, a saved model."""\n', "", "documented"),
    "template": ('{**files, "CHANGELOG.md"', '{"README.md": "", "CHANGELOG.md"', "writes a package"),
}


def new(*arguments: str, code: int = 0) -> Result:
    """Run `nbdl plugins new` in this process and expect an exit code."""
    result = CliRunner().invoke(app, ["plugins", "new", *arguments], prog_name="nbdl")
    assert result.exit_code == code, (result.output, result.exception)
    return result


def process(*command: str, site: Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command where the packages of a folder are installed."""
    left_out = ("NBDL_DISABLE_PLUGINS", "NBDL_LOAD_PLUGINS", "NBDL_STRICT_PLUGINS", "NUMBA_ENABLE_CUDASIM")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    paths = {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(site), kept.get("PYTHONPATH", "")])),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")]),
    }
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env=kept | paths | environment, check=False, timeout=300
    )


def put(kind: str, folder: Path, *edit: str) -> None:
    """Write a package of a kind into `folder / kind`, and into `folder / "site"` what pip would make of it."""
    request = scaffold.named(f"try_{kind}", kind)
    scaffold.write(registry.get("templates", kind).target(request), folder / kind)
    module, site = folder / kind / f"{request.module}.py", folder / "site"
    if edit:
        assert module.read_text().count(edit[0]) >= 1, f"{kind}: the template no longer holds {edit[0]!r}"
        module.write_text(module.read_text().replace(edit[0], edit[1]))
    project = tomllib.loads((folder / kind / "pyproject.toml").read_text())["project"]
    points = "\n".join(f"{name} = {value}" for name, value in project["entry-points"]["nbdl"].items())
    metadata = site / f"{request.module}-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    needs = "".join(f"Requires-Dist: {one}\n" for one in project["dependencies"])
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n{needs}"
    )
    (metadata / "entry_points.txt").write_text(f"[nbdl]\n{points}\n")
    shutil.copy(module, site)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of each kind, and all of them installed in `site`."""
    folder = tmp_path_factory.mktemp("packages")
    for kind in KINDS:
        put(kind, folder)
    return folder


def own_tests(folder: Path, **environment: str) -> dict[str, dict[str, str]]:
    """What failed of the packages' own tests: by kind and check what was said. One process for all."""
    done = process(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml"),
        *(kind for kind in KINDS if (folder / kind).is_dir()),
        site=folder / "site",
        cwd=folder,
        **environment,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    failed: dict[str, dict[str, str]] = {}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        check = case.attrib["name"].partition(": ")[2].removesuffix("]")
        found = failed.setdefault(case.attrib["classname"].partition("test_try_")[2], {})
        for one in (*case.iter("failure"), *case.iter("error")):
            found[check] = one.text or ""
    return failed


# -- the packages -------------------------------------------------------------------------------------------


def test_there_is_a_template_for_every_kind() -> None:
    from nbdl.hookspecs import KINDS as HOOKS
    from nbdl.units.entry import singular

    assert sorted(KINDS) == sorted(singular(kind) for kind in HOOKS)
    assert set(PLANTED) == set(KINDS)


def test_the_packages_pass_their_own_tests_as_their_ci_runs_them(packages: Path) -> None:
    workflow = (packages / "activation" / ".github" / "workflows" / "test.yml").read_text()
    failed = own_tests(packages, **dict(re.findall(r'^ +(N[A-Z_]+): "(\w+)"', workflow, re.MULTILINE)))
    assert sorted(failed) == sorted(KINDS), "some packages have no tests, or they were not run"
    assert not any(failed.values()), failed
    cases = [one for one in ElementTree.parse(packages / "report.xml").iter("testcase") if "CUDA" in one.attrib["name"]]
    assert len(cases) >= 5
    assert not [
        one.attrib["name"] for one in cases if one.find("skipped") is not None and "layer" not in one.attrib["name"]
    ]


def test_their_tests_catch_what_is_wrong(tmp_path: Path) -> None:
    for kind, (right, wrong, _) in PLANTED.items():
        put(kind, tmp_path, right, wrong)
    failed = own_tests(tmp_path)
    missed = {kind: list(failed[kind]) for kind, (_, _, check) in PLANTED.items() if check not in failed[kind]}
    assert not missed, f"what these found instead: {missed}"


def test_two_lines_are_the_test(packages: Path) -> None:
    for kind in set(KINDS) - {"command"}:
        (path,) = (packages / kind / "tests").glob("*.py")
        assert path.read_text() == "def test_units(nbdl_check):\n    nbdl_check()\n", kind


def shown(packages: Path, kind: str, language: str) -> list[str]:
    """The programs ("python") or command lines ("") that a package's README shows the use of its unit by."""
    text = (packages / kind / "README.md").read_text()
    blocks = BLOCK.findall(text[text.index("## Use") : text.index("## Check")])
    assert blocks, f"the README of {kind} shows nothing"
    return [block for given, block in blocks if given == language]


def test_the_programs_of_the_readmes_run(packages: Path, tmp_path: Path) -> None:
    programs = {f"{kind}/README.md": block for kind in KINDS for block in shown(packages, kind, "python")}
    assert len(programs) >= 11
    code = f"for name, text in {programs!r}.items():\n    exec(compile(text, name, 'exec'), {{}})"
    done = process(sys.executable, "-W", "error", "-c", code, site=packages / "site", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


COMMANDS = ("activation", "loss", "optimizer", "dataset", "reader", "exporter", "recipe", "command", "template")


@pytest.mark.parametrize("kind", COMMANDS)
def test_the_commands_of_a_readme_run(kind: str, packages: Path, tmp_path: Path) -> None:
    (block,) = shown(packages, kind, "")
    done = process("bash", "-ec", block, site=packages / "site", cwd=tmp_path)
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    assert "Warning" not in done.stderr


def test_an_activation_of_a_new_package_is_what_the_net_is_trained_with(packages: Path, tmp_path: Path) -> None:
    command = ("nbdl", "train", "digits", "--arch", "64-32:try_activation-10:softmax", "--epochs", "3")
    done = process(*command, site=packages / "site", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = process("nbdl", "explain", "digits.nbdl", site=packages / "site", cwd=tmp_path)
    assert "nbdl_try_activation" in done.stdout, done.stdout + done.stderr


def test_names_are_put_everywhere(packages: Path) -> None:
    for path in (path for kind in KINDS for path in (packages / kind).rglob("*") if path.is_file()):
        text = f"{path}\n{path.read_text()}"
        left = re.search(r"my[_-]?unit|my_kind|THE_\w+|nbdl>=0[^.]|<!--", text, re.IGNORECASE)
        assert left is None, f"{path}: {left and left[0]}"


def test_pip_builds_the_package(packages: Path, tmp_path: Path) -> None:
    source = shutil.copytree(packages / "layer", tmp_path / "layer")
    options = ("--no-build-isolation", "--no-deps", "--no-index", "--quiet")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, "-w", str(tmp_path), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named pip" in done.stderr:
        pytest.skip("pip is not there to build the package with")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "site", "zip")
    (metadata,) = (tmp_path / "site").glob("*.dist-info")
    assert (metadata / "entry_points.txt").read_text().split() == ["[nbdl]", "try_layer", "=", "nbdl_try_layer"]
    (needs,) = re.findall(r"^Requires-Dist: nbdl(\S+)$", (metadata / "METADATA").read_text(), re.MULTILINE)
    assert sorted(needs.split(",")) == sorted(scaffold.requirement().removeprefix("nbdl").split(","))
    assert (tmp_path / "site" / "nbdl_try_layer.py").is_file()


def test_they_are_typed(packages: Path) -> None:
    pytest.importorskip("mypy")
    modules = sorted(str(path) for path in (packages / "site").glob("*.py"))
    done = process(
        *(sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", os.devnull, *modules),
        site=packages / "site",
        cwd=packages,
        MYPYPATH=os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
    )
    assert done.returncode == 0, done.stdout


def test_they_are_well_formed(packages: Path) -> None:
    ruff = shutil.which("ruff", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if ruff is None:
        pytest.skip("ruff is not there")
    for kind in KINDS:
        for command in (("check",), ("format", "--check")):
            done = subprocess.run(
                [ruff, *command, "--no-cache", "."], cwd=packages / kind, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{kind}: {done.stdout}"


# -- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["my_swish", "MySwish", "my-swish", "nbdl-my-swish", "nbdl_my_swish", "My-Swish"])
def test_a_name_may_be_spelt_in_many_ways(name: str) -> None:
    request = scaffold.named(name, "layer")
    assert (request.unit, request.class_name) == ("my_swish", "MySwish")
    assert (request.distribution, request.module) == ("nbdl-my-swish", "nbdl_my_swish")


def test_capitals_stay_in_a_class() -> None:
    request = scaffold.named("RMSUnitX2", "layer")
    assert (request.unit, request.class_name) == ("rms_unit_x2", "RMSUnitX2")


@pytest.mark.parametrize(
    "name", ["2_fast", "my activation", "a.b", "", "nbdl-", "_x", "x_", "a__b", "é", "../x", "lambda", "None"]
)
def test_what_is_no_name_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = new(name, "--kind", "activation", code=2)
    assert re.fullmatch(r"Error: .* is (no name for a unit|a word of Python's).*\n", result.output)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ReLU", "--kind", "activation"), "there is the activation 'relu' of nbdl"),
        (("mse", "--kind", "loss"), "there is the loss 'mean_squared_error' of nbdl"),
        (("standard", "--kind", "layer"), "there is a module 'nbdl_standard' already"),
        (("train", "--kind", "command"), "nbdl has a command 'train' of its own"),
        (("Recorder", "--kind", "layer"), "Recorder is something else in that module"),
        (("mine", "--kind", "activatoin"), "no kind 'activatoin'. Did you mean 'activation'?"),
        (("mine", "--kind", "layer", "--author", 'A "B" C'), "is no name for an author"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = new(*arguments, code=2)
    assert said in result.output
    assert result.output.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_name_of_another_kind_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    new("relu", "--kind", "losses", "--dry-run")


def test_without_a_kind_all_are_listed() -> None:
    result = new("mine", code=2)
    assert [line.split()[0] for line in result.output.splitlines()[1:]] == sorted(KINDS)
    assert all(len(line.split()) > 3 for line in result.output.splitlines()[1:]), "a kind is not described"


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("0.2.0", "nbdl>=0.2,<0.3"),
        ("0.12.3", "nbdl>=0.12,<0.13"),
        ("1.4.2", "nbdl>=1.4,<2"),
        ("2.0rc1", "nbdl>=2.0,<3"),
    ],
)
def test_the_package_asks_for_this_version(version: str, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaffold.importlib.metadata, "version", lambda name: version)
    assert scaffold.requirement() == wanted


# -- writing ------------------------------------------------------------------------------------------------


def test_what_was_written_is_said_and_what_comes_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    output = new("my_swish", "--kind", "activation", "--author", "Ada Byron").output
    folder = tmp_path / "nbdl-my-swish"
    listed = output[output.index("\n") : output.index("Next:")].split()
    assert sorted(listed) == sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert output.splitlines()[-3:] == ["  cd nbdl-my-swish", "  pip install -e '.[test]'", "  python -m pytest"]
    assert "Ada Byron" in (folder / "LICENSE").read_text()
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["authors"] == [{"name": "Ada Byron"}]
    assert project["dependencies"] == [scaffold.requirement()]


def test_a_dry_run_lists_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "nbdl_my_swish.py" in new("my_swish", "--kind", "activation", "--dry-run").output
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    result = new("my_swish", "--kind", "activation", "-o", str(tmp_path), code=2)
    assert "is there already and not empty" in result.output
    new("my_swish", "--kind", "activation", "-o", str(tmp_path / "notes"), code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_an_empty_folder_may_be_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "place"
    place.mkdir()
    before = place.stat().st_ino
    monkeypatch.chdir(place)
    new("my_swish", "--kind", "activation", "-o", ".")
    assert place.stat().st_ino == before, "somebody's working folder was replaced"
    assert (place / "nbdl_my_swish.py").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_a_package_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, write_text = [], Path.write_text

    def full(self: Path, *arguments: Any, **options: Any) -> int:
        written.append(self)
        if len(written) == 4:
            raise OSError(28, "No space left on device", str(self))
        return write_text(self, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", full)
    result = new("my_swish", "--kind", "activation", "-o", str(tmp_path / "new"), code=1)
    assert "No space left on device" in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x", ""])
def test_a_template_cannot_write_elsewhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no place in the package"):
        scaffold.write({"README.md": "", name: ""}, tmp_path / "new")
    assert not list(tmp_path.iterdir())


# -- templates of others ------------------------------------------------------------------------------------


@pytest.fixture
def house() -> Iterator[None]:
    """A template that this session registers."""

    def write(request: scaffold.Request) -> dict[str, str]:
        """Return one file."""
        return {f"{request.module}.txt": f"{request.kind} {request.class_name}"}

    nbdl.register("house_style", write, kind="template", description="as we do it", makes="activation")
    yield
    registry.catalogue.remove(registry.get("templates", "house_style"))


@pytest.mark.usefixtures("house")
def test_a_template_of_others_is_used(tmp_path: Path) -> None:
    assert "house_style" in new("my_swish", code=2).output
    new("my_swish", "--kind", "house-style", "-o", str(tmp_path / "new"))
    assert (tmp_path / "new" / "nbdl_my_swish.txt").read_text() == "activation MySwish"
    assert "there is the activation 'relu'" in new("relu", "--kind", "house_style", code=2).output


def test_the_author_is_not_filled_in_twice() -> None:
    request = scaffold.named("my_swish", "layer", "my_unit my_kind")
    assert request.filled("THE_AUTHOR of my_unit") == "my_unit my_kind of my_swish"
    with pytest.raises(ConfigError, match="author"):
        scaffold.named("my_swish", "layer", "two\nlines")
