"""Third parties' plugins: real packages, installed, and others broken in every way; a session's own units."""

from __future__ import annotations

import json
import shutil
import textwrap
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributions import THIRD_PARTY, answer, cli, pip_installed, run, written

import nbdl
from nbdl import hookimpl
from nbdl.errors import PluginError, UnknownNameError
from nbdl.plugins.load import load
from nbdl.plugins.registrar import Registrar
from nbdl.units.elementwise import elementwise
from nbdl.units.registry import Registry, registry

UNITS = {
    "nbdl-calibration": {"PiecewiseLinear", "FactorizationMachine"},
    "nbdl-robust": {"general_robust", "Yogi", "outliers"},
    "nbdl-snake": {"snake"},
}
OFFERED = set.union(*UNITS.values())

TRAIN = """
    import json, numpy as np, nbdl
    from nbdl.layers import Dense
    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    bends = nbdl.layers.PiecewiseLinear([-2.0, 0.0, 2.0], input_dim=4)
    ripples = Dense(6, activation=nbdl.activations.snake(a=0.5))
    model = nbdl.Sequential([bends, ripples, nbdl.layers.FactorizationMachine(3)], seed=1)
    model.compile(nbdl.optimizers.Yogi(0.05), nbdl.losses.general_robust(alpha=-2.0, c=0.5), metrics=["barron"])
    losses = model.fit(x, np.sin(3 * x[:, :1]), epochs=5, verbose=0).history["loss"]
    model.save("model.nbdl")
    again = nbdl.load_model("model.nbdl")
    same = bool((again.predict(x) == model.predict(x)).all()) and again.get_config() == model.get_config()
    print(json.dumps([losses, same, again.loss.get_config(), again.optimizer.get_config()["learning_rate"]]))
"""
SURVEY = """
    import json, os, traceback, warnings, nbdl
    from nbdl.plugins.load import load
    from nbdl.plugins.registrar import Registrar
    from nbdl.units.registry import Registry, registry
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        registry.load()
    third = [e for e in registry.entries() if e.owner.distribution != "nbdl"]
    names = lambda b: [b.owner.distribution, b.owner.plugin, b.module, b.reason, b.remedy]
    os.environ["NBDL_STRICT_PLUGINS"] = "1"
    strict = ""
    try:
        apart = Registrar(Registry(lambda: load(apart)))
        apart.registry.load()
    except BaseException:
        strict = traceback.format_exc()
    print(json.dumps({
        "offered": sorted(e.name for e in third),
        "owners": sorted({str(e.owner) for e in third}),
        "broken": [names(b) for b in registry.broken],
        "warned": [str(w.message) for w in caught],
        "own": sum(e.owner.distribution == "nbdl" for e in registry.entries()),
        "off": sorted(o.distribution for o in registry.switched_off),
        "unmatched": registry.unmatched,
        "strict": strict,
    }))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real packages, installed by pip into a folder of their own."""
    try:
        return pip_installed(tmp_path_factory.mktemp("third") / "site", *UNITS)
    except ModuleNotFoundError:
        pytest.skip("pip is not there to install the third parties' packages with")


@pytest.fixture
def site(installed: Path, tmp_path: Path) -> Path:
    """A copy of the folder, to add broken packages to."""
    return shutil.copytree(installed, tmp_path / "site")


# -- the packages work --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNITS)
def test_a_packages_own_tests_pass(name: str, installed: Path, tmp_path: Path) -> None:
    for path in [THIRD_PARTY / name / "pyproject.toml", *(THIRD_PARTY / name).glob("test_*.py")]:
        shutil.copy(path, tmp_path)
    module = name.replace("-", "_")
    done = run(installed, "-m", "pytest", "-q", "--doctest-modules", ".", "--pyargs", module, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_installed_plugins_train_save_and_load(installed: Path, tmp_path: Path) -> None:
    losses, same, loss, rate = answer(installed, TRAIN, tmp_path)
    assert losses[-1] < losses[0]
    assert same
    assert (loss, rate) == ({"alpha": -2.0, "c": 0.5, "name": "general_robust"}, 0.05)


def test_a_file_lists_the_plugins_of_units_within_units(site: Path, tmp_path: Path) -> None:
    penalty = """
        from nbdl import hookimpl
        @hookimpl
        def register_regularizers(register):
            register("third_penalty", lambda w: w * w, lambda w: 2.0 * w)
    """
    written(site, "third-party", {"third.py": penalty}, {"third": "third"})
    code = """
        import json, zipfile, nbdl
        from nbdl.layers import Dense
        listed = []
        for options, metrics in (({}, []), ({"kernel_regularizer": "third_penalty"}, []), ({}, ["general_robust"])):
            model = nbdl.Sequential([Dense(2, input_dim=3, **options)])
            model.compile(loss="mse", optimizer="sgd", metrics=metrics)
            model.save("model.nbdl")
            head = json.loads(zipfile.ZipFile("model.nbdl").read("nbdl.json"))
            listed.append([plugin["distribution"] for plugin in head["plugins"]])
        print(json.dumps(listed))
    """
    assert answer(site, code, tmp_path) == [["nbdl"], ["nbdl", "third-party"], ["nbdl", "nbdl-robust"]]


PAIR = """
    from nbdl import elementwise_pair, hookimpl

    def f(y, p):
        return 0.5 * (y - p) * (y - p)

    def df(y, p):
        return p - y

    def of_step(y, z):
        return f(y, 0.5 * (z / (1.0 + abs(z)) + 1.0))

    def slope_of_step(y, z):
        return (0.5 * (z / (1.0 + abs(z)) + 1.0) - y) * 0.5 / ((1.0 + abs(z)) * (1.0 + abs(z)))

    @hookimpl
    def register_losses(register):
        register("halves", f, df, aliases=("half_distance",), pairs={"step": elementwise_pair(of_step, slope_of_step)})

    @hookimpl
    def register_activations(register):
        register("step", lambda x: 0.5 * (x / (1.0 + abs(x)) + 1.0), lambda x, y: 0.5 / (1.0 + abs(x)) ** 2)
"""


def test_a_third_partys_pair_is_used(tmp_path: Path) -> None:
    site = written(tmp_path / "site", "nbdl-pair", {"nbdl_pair.py": PAIR}, {"pair": "nbdl_pair"})
    code = """
        import json, numpy as np, nbdl
        from nbdl.layers import Dense
        x = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
        weights = []
        for pairs in ({}, nbdl.losses.halves.pairs):
            nbdl.losses.halves.pairs = pairs
            model = nbdl.Sequential([Dense(2, activation="step", input_dim=4)], seed=1)
            model.compile(loss="half_distance", optimizer="sgd")
            titles = [o.title for o in model.program("train").operations if o.layer == "loss"]
            model.fit(x, abs(x[:, :2]) / 4, verbose=0)
            weights.append(model.get_weights()[0].tolist())
            used = any("slope_of_step" in title for title in titles)
            assert used == bool(pairs), titles
        print(json.dumps(weights))
    """
    alone, paired = answer(site, code, tmp_path)
    assert [pytest.approx(row, abs=1e-6) for row in alone] == paired


def test_the_command_line_knows_a_plugins_units_and_commands(installed: Path, tmp_path: Path) -> None:
    net = "--arch 64-16:snake-10:softmax --optimizer Yogi --epochs 2 --patience 0 -o own.nbdl"
    done = cli(installed, f"train digits {net}", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = cli(installed, "outliers own.nbdl digits --top 4 --json", tmp_path)
    losses = [row["loss"] for row in json.loads(rows.stdout)]
    assert len(losses) == 4
    assert losses == sorted(losses, reverse=True)
    shown = cli(installed, "outliers own.nbdl digits --top 1", tmp_path).stdout
    assert shown.startswith(f"row {json.loads(rows.stdout)[0]['row']}: loss ")
    helped = cli(installed, "--help", tmp_path).stdout
    assert "outliers" in helped
    assert "nbdl-snake" in cli(installed, "plugins", tmp_path).stdout
    without = cli(None, "predict own.nbdl digits", tmp_path)
    assert without.returncode not in (0, 1), without.stdout
    assert "pip install nbdl-robust==0.2.0 nbdl-snake==0.1.0" in without.stderr
    assert "Traceback" not in without.stderr


def test_a_file_says_which_package_is_missing(installed: Path, tmp_path: Path) -> None:
    answer(installed, TRAIN, tmp_path)
    done = run(None, "-c", "import nbdl; nbdl.load_model('model.nbdl')", cwd=tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert "ConfigError" in last
    assert "model.nbdl" in last
    assert "pip install nbdl-calibration==0.1.0 nbdl-robust==0.2.0 nbdl-snake==0.1.0" in last


def test_no_third_party_is_named_in_nbdl() -> None:
    words = {*UNITS, *(name.replace("-", "_") for name in UNITS), *(OFFERED - {"snake", "outliers"})}
    assert set(UNITS) <= {path.name for path in THIRD_PARTY.iterdir()}
    root = Path(nbdl.__file__).parents[1]
    for path in [*root.glob("nbdl/**/*.py*"), *root.glob("plugins/**/*.py")]:
        if path.suffix != ".pyc":
            text = path.read_text()
            assert not [word for word in words if word in text], path


# -- the environment chooses --------------------------------------------------------------------------------


CHOICES = [
    ({}, list(UNITS), []),
    ({"NBDL_DISABLE_PLUGINS": "robust"}, ["nbdl-calibration", "nbdl-snake"], []),
    ({"NBDL_DISABLE_PLUGINS": "nbdl-robust, NBDL_Snake"}, ["nbdl-calibration"], []),
    ({"NBDL_DISABLE_PLUGINS": "robust, other"}, ["nbdl-calibration", "nbdl-snake"], ["other"]),
    ({"NBDL_LOAD_PLUGINS": "snake"}, ["nbdl-snake"], []),
    ({"NBDL_LOAD_PLUGINS": "nbdl-robust,snake"}, ["nbdl-robust", "nbdl-snake"], []),
    ({"NBDL_LOAD_PLUGINS": "other"}, [], ["other"]),
    ({"NBDL_LOAD_PLUGINS": ""}, [], []),
    ({"NBDL_LOAD_PLUGINS": "snake,robust", "NBDL_DISABLE_PLUGINS": "robust"}, ["nbdl-snake"], []),
]


@pytest.mark.parametrize(("environment", "loaded", "unmatched"), CHOICES, ids=lambda one: str(one)[:50])
def test_plugins_are_chosen_by_environment(
    environment: dict[str, str], loaded: list[str], unmatched: list[str], installed: Path, tmp_path: Path
) -> None:
    offered = set().union(*(UNITS[name] for name in loaded))
    found = answer(installed, SURVEY, tmp_path, **environment)
    assert set(found["offered"]) == offered
    assert (found["broken"], found["unmatched"]) == ([], unmatched)
    assert found["off"] == sorted(owner for owner, units in UNITS.items() if not units & offered)
    assert found["own"] > 100


@pytest.mark.parametrize(
    "environment", [{"NBDL_DISABLE_PLUGINS": "bomb"}, {"NBDL_DISABLE_PLUGINS": "nbdl-bomb"}, {"NBDL_LOAD_PLUGINS": ""}]
)
def test_what_is_switched_off_is_not_imported(environment: dict[str, str], tmp_path: Path) -> None:
    text = "from pathlib import Path\nPath('imported').touch()\nraise SystemExit(3)\n"
    site = written(tmp_path / "site", "nbdl-bomb", {"nbdl_bomb.py": text}, {"bomb": "nbdl_bomb"})
    assert len(answer(site, SURVEY, tmp_path)["broken"]) == 1
    assert (tmp_path / "imported").exists()
    (tmp_path / "imported").unlink()
    found = answer(site, SURVEY, tmp_path, **environment)
    assert (found["broken"], found["warned"], found["strict"]) == ([], [], "")
    assert not (tmp_path / "imported").exists()


# -- a package is broken ------------------------------------------------------------------------------------

HOOK = "from nbdl import hookimpl\nimport nbdl\n"
ACTIVATIONS = HOOK + "@hookimpl\ndef register_activations(register):\n"
ONE = "    register('broken_first', lambda x: x, lambda x, y: 1.0)\n"
# By name: the module, what the warning says, whether the traceback for authors shows the author's own line.
BROKEN: dict[str, tuple[str, str, bool]] = {
    "import error": ("import missing_dependency_of_it\n", "missing_dependency_of_it", True),
    "exits at import": ("raise SystemExit('bye')\n", "SystemExit: bye", True),
    "raises at import": ("1 / 0\n", "ZeroDivisionError", True),
    "syntax error": ("def f(:\n", "SyntaxError", True),
    "misspelt hook": (HOOK + "@hookimpl\ndef register_activation(register): ...\n", "register_activations", False),
    "hook without its decorator": (
        "def register_activations(register): ...\n", "decorate it with @nbdl.hookimpl", True,
    ),
    "hook with an unknown argument": (
        HOOK + "@hookimpl\ndef register_activations(registry): ...\n", "a hook's argument is called `register`", True,
    ),
    "taken name": (
        ACTIVATIONS + ONE + "    register('Re_LU', lambda x: x, lambda x, y: 1.0)\n",
        "activations 'Re_LU' is already registered by nbdl", True,
    ),
    "taken alias": (
        ACTIVATIONS + "    register('broken_first', lambda x: x, lambda x, y: 1.0, aliases=('tanh',))\n",
        "already registered by nbdl", True,
    ),
    "not a unit": (
        HOOK + "@hookimpl\ndef register_layers(register):\n    register('BrokenLayer', dict)\n",
        "subclasses of nbdl.Layer", True,
    ),
    "formula of too few arguments": (
        ACTIVATIONS + "    register('broken_first', lambda: 1.0, lambda x, y: 1.0)\n", "at least 1 argument", True,
    ),
    "one formula of two": (
        ACTIVATIONS + "    register('broken_first', lambda x: x)\n",
        "activations take f(x, ...) and df(x, y, ...); 1 function(s)", True,
    ),
    "no name": (ACTIVATIONS + "    register('', lambda x: x, lambda x, y: 1.0)\n", "a name is letters", True),
    "raises after one unit": (ACTIVATIONS + ONE + "    raise RuntimeError('half way')\n", "half way", True),
}  # fmt: skip


def assert_one_is_broken(found: dict[str, Any], module: str, expected: str, offered: set[str] = OFFERED) -> None:
    """One warning with distribution, module, reason and remedy; all else is there."""
    assert set(found["offered"]) == offered
    assert found["own"] > 100
    [[distribution, plugin, where, reason, remedy]] = found["broken"]
    assert (distribution, plugin, where) == ("nbdl-broken", "broken", module)
    assert expected in reason
    assert "NBDL_DISABLE_PLUGINS=broken" in remedy
    assert "pip install" in remedy
    [text] = found["warned"]
    assert "\n" not in text
    assert all(part in text for part in ("nbdl-broken", "1.2.3", module, reason, remedy))


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_plugin_takes_nothing_else_down(how: str, site: Path, tmp_path: Path) -> None:
    text, expected, own_line = BROKEN[how]
    written(site, "nbdl-broken", {"nbdl_broken.py": text}, {"broken": "nbdl_broken"})
    found = answer(site, SURVEY, tmp_path)
    assert_one_is_broken(found, "nbdl_broken", expected)
    assert "Traceback" in found["strict"]
    assert expected.rpartition(": ")[2] in found["strict"]
    assert (str(site / "nbdl_broken.py") in found["strict"]) == own_line


def test_a_broken_submodule_leaves_the_others(site: Path, tmp_path: Path) -> None:
    modules = {"nbdl_broken/__init__.py": "", "nbdl_broken/bad.py": "1 / 0\n", "nbdl_broken/good.py": ACTIVATIONS + ONE}
    written(site, "nbdl-broken", modules, {"broken": "nbdl_broken"})
    found = answer(site, SURVEY, tmp_path)
    assert_one_is_broken(found, "nbdl_broken.bad", "ZeroDivisionError", OFFERED | {"broken_first"})


def test_an_entry_point_without_its_module(site: Path, tmp_path: Path) -> None:
    written(site, "nbdl-broken", {}, {"broken": "nbdl_broken"})
    found = answer(site, SURVEY, tmp_path)
    assert_one_is_broken(found, "nbdl_broken", "No module named 'nbdl_broken'")
    assert "ModuleNotFoundError" in found["strict"]


@pytest.mark.parametrize(
    ("requires", "asked"),
    [
        ("nbdl>=2", "nbdl>=2"),
        ("Nbdl[cuda] >=900 ; python_version > '3'", "nbdl>=900"),
        ("nbdl>=0.1,<1", ""),
        ("nbdl", ""),
        ("nbdl-other>=2", ""),
        ("nbdl>=2; extra == 'new'", ""),
    ],
)
def test_a_plugin_for_another_nbdl_is_not_imported(requires: str, asked: str, site: Path, tmp_path: Path) -> None:
    text = "from pathlib import Path\nPath('imported').touch()\n"
    written(site, "nbdl-broken", {"nbdl_broken.py": text}, {"broken": "nbdl_broken"}, requires=(requires, "numpy"))
    found = answer(site, SURVEY, tmp_path)
    assert (tmp_path / "imported").exists() == (not asked)
    if asked:
        assert_one_is_broken(found, "nbdl_broken", asked)
        assert nbdl.__version__ in found["broken"][0][3]
        assert asked in found["strict"]
    else:
        assert (found["broken"], found["strict"]) == ([], "")


def test_two_distributions_with_one_entry_points_name_are_both_loaded(site: Path, tmp_path: Path) -> None:
    for letter in "ab":
        text = ACTIVATIONS + f"    register('twin_{letter}', lambda x: x, lambda x, y: 1.0)\n"
        written(site, f"nbdl-twin-{letter}", {f"twin_{letter}.py": text}, {"twin": f"twin_{letter}"})
    found = answer(site, SURVEY, tmp_path)
    assert (set(found["offered"]), found["broken"]) == (OFFERED | {"twin_a", "twin_b"}, [])
    assert set(answer(site, SURVEY, tmp_path, NBDL_DISABLE_PLUGINS="twin")["offered"]) == OFFERED
    one = answer(site, SURVEY, tmp_path, NBDL_DISABLE_PLUGINS="nbdl-twin-a")
    assert (set(one["offered"]), one["off"]) == (OFFERED | {"twin_b"}, ["nbdl-twin-a"])


def test_of_two_that_register_the_same_name_the_second_is_refused(site: Path, tmp_path: Path) -> None:
    for distribution in ("nbdl-a", "nbdl-broken"):
        module = distribution.replace("-", "_")
        written(site, distribution, {f"{module}.py": ACTIVATIONS + ONE}, {distribution.removeprefix("nbdl-"): module})
    found = answer(site, SURVEY, tmp_path)
    reason = "'broken_first' is already registered by nbdl-a 1.2.3"
    assert_one_is_broken(found, "nbdl_broken", reason, OFFERED | {"broken_first"})
    assert "nbdl-a 1.2.3" in found["owners"]


def test_what_a_plugin_prints_is_no_part_of_a_commands_output(site: Path, tmp_path: Path) -> None:
    text = "import time\nprint('hello from a plugin')\ntime.sleep(0.4)\n" + ACTIVATIONS + ONE
    written(site, "nbdl-loud", {"nbdl_loud.py": text}, {"loud": "nbdl_loud"})
    done = cli(site, "plugins list --kind activations --json", tmp_path)
    assert "broken_first" in {unit["name"] for unit in json.loads(done.stdout)}
    assert "hello from a plugin" in done.stderr
    code = """
        import json
        from nbdl.units.registry import registry
        registry.load()
        print(json.dumps({str(owner): seconds for owner, seconds in registry.seconds.items()}))
    """
    seconds = answer(site, code, tmp_path)
    assert max(seconds, key=seconds.__getitem__) == "nbdl-loud 1.2.3"
    assert seconds["nbdl-loud 1.2.3"] >= 0.4


@pytest.mark.parametrize("how", ["exits at import", "an entry point without its module", "another nbdl"])
def test_the_command_line_goes_on_beside_a_broken_plugin(how: str, site: Path, tmp_path: Path) -> None:
    modules = {"nbdl_broken.py": BROKEN["exits at import"][0]} if how == "exits at import" else {}
    requires = ("nbdl>=2",) if how == "another nbdl" else ("nbdl",)
    written(site, "nbdl-broken", modules, {"broken": "nbdl_broken"}, requires=requires)
    listing = cli(site, "plugins", tmp_path)
    assert listing.returncode == 0
    assert "nbdl-broken" in listing.stdout + listing.stderr
    train = "train digits --arch 64-8:snake-10:softmax --epochs 1 -o net.nbdl"
    done = cli(site, train, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("nbdl-broken 1.2.3") == 1
    assert "Traceback" not in done.stderr + listing.stderr
    strict = cli(site, train, tmp_path, NBDL_STRICT_PLUGINS="1")
    assert strict.returncode != 0


COMMANDS = """
    from nbdl import hookimpl

    @hookimpl
    def register_commands(register):
        register("fails", "nbdl_broken_commands:fails", help="Fails.")
        register("exits", "nbdl_broken_exit:exits", help="Cannot be imported.")
        register("absent", "nbdl_broken_commands:absent", help="Is not there.")
"""


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("fails", 1, "Error: ValueError: half way"),
        ("exits", 4, "the command 'exits' of nbdl-broken 1.2.3 cannot be loaded: SystemExit: bye"),
        ("absent", 4, "the command 'absent' of nbdl-broken 1.2.3 cannot be loaded"),
    ],
)
def test_a_plugins_broken_command_breaks_itself_alone(
    command: str, code: int, says: str, site: Path, tmp_path: Path
) -> None:
    body = "import click\n@click.command()\ndef fails():\n    raise ValueError('half way')\n"
    modules = {
        "nbdl_broken.py": COMMANDS, "nbdl_broken_commands.py": body, "nbdl_broken_exit.py": "raise SystemExit('bye')\n",
    }  # fmt: skip
    written(site, "nbdl-broken", modules, {"broken": "nbdl_broken"})
    done = cli(site, command, tmp_path)
    assert done.returncode == code, done.stderr
    [line] = done.stderr.strip().splitlines()
    assert says in line
    helped = cli(site, "--help", tmp_path)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert all(name in helped.stdout for name in ("fails", "exits", "absent", "outliers"))


def test_a_packages_own_tests_are_not_read(tmp_path: Path) -> None:
    bad = ("tests/__init__", "tests/test_inside", "test_beside", "conftest", "__main__")
    modules = {f"nbdl_clean/{name}.py": "1 / 0\n" for name in bad}
    modules |= {"nbdl_clean/__init__.py": "", "nbdl_clean/testing_ground.py": ACTIVATIONS + ONE}
    site = written(tmp_path / "site", "nbdl-clean", modules, {"clean": "nbdl_clean"})
    found = answer(site, SURVEY, tmp_path)
    assert (found["offered"], found["broken"], found["warned"]) == (["broken_first"], [], [])


def test_a_package_that_cannot_be_imported_is_named_when_its_unit_is_asked_for(tmp_path: Path) -> None:
    site = written(tmp_path / "site", "nbdl-broken", {"nbdl_broken.py": "1 / 0\n"}, {"broken": "nbdl_broken"})
    done = run(site, "-W", "ignore", "-c", "import nbdl; nbdl.activations.broken_first", cwd=tmp_path)
    assert "nbdl plugins" in done.stderr.splitlines()[-1]


def test_two_threads_that_look_up_first_both_find_all(tmp_path: Path) -> None:
    modules = {"nbdl_slow/__init__.py": "", "nbdl_slow/a.py": "import time\ntime.sleep(0.5)\n"}
    modules["nbdl_slow/b.py"] = ACTIVATIONS + ONE
    site = written(tmp_path / "site", "nbdl-slow", modules, {"slow": "nbdl_slow"})
    code = """
        import json, threading, time
        from nbdl.units.registry import registry
        found = []
        def look():
            found.append(registry.find("activations", "broken_first") is not None)
        threads = [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
            time.sleep(0.2)
        for thread in threads: thread.join()
        print(json.dumps(found))
    """
    assert answer(site, code, tmp_path, NBDL_LOAD_PLUGINS="slow") == [True, True]


# -- a session's own ----------------------------------------------------------------------------------------


def module_of(**hooks: Any) -> types.ModuleType:
    module = types.ModuleType("session_units")
    for name, hook in hooks.items():
        setattr(module, name, hookimpl(hook))
    return module


def apart() -> Registrar:
    """Return a registrar with a registry of its own, which loads what is installed."""
    registrar = Registrar(Registry(lambda: load(registrar)))
    return registrar


def test_a_session_registers_all_or_nothing() -> None:
    session = apart()
    units = session.registry
    owned = len(units.entries())

    def taken(register: Any) -> None:
        register("session_one", lambda x: x, lambda x, y: 1.0)
        register("relu", lambda x: x, lambda x, y: 1.0)

    def losses(register: Any) -> None:
        register("session_loss", lambda y, p: y - p, lambda y, p: -1.0)

    with pytest.raises(PluginError, match="already registered by nbdl"):
        session.register_module(module_of(register_activations=taken, register_losses=losses))
    assert units.find("activations", "session_one") is None
    assert units.find("losses", "session_loss") is None
    assert len(units.entries()) == owned
    assert units.get("activations", "relu").owner.distribution == "nbdl"
    session.register_module(module_of(register_losses=losses))
    assert units.get("losses", "SessionLoss").owner.distribution == "this session"


@pytest.mark.parametrize("nothing", ["math", object(), types.ModuleType("empty")], ids=["text", "object", "module"])
def test_registering_what_has_no_hooks_is_refused(nothing: Any) -> None:
    with pytest.raises(PluginError, match="no hooks"):
        nbdl.register(nothing)


def test_a_misspelt_hook_of_a_session_names_the_right_one() -> None:
    with pytest.raises(PluginError, match="Did you mean 'register_layers'"):
        nbdl.register(module_of(register_layer=lambda register: None))
    assert registry.find("layers", "Dense") is not None


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'sigmoid'"):
        registry.get("activations", "sigmod")
    with pytest.raises(AttributeError):
        _ = nbdl.layers.Danse


def test_a_file_with_a_sessions_units_says_so(tmp_path: Path) -> None:
    code = """
        import nbdl
        from nbdl import hookimpl
        class Units:
            @hookimpl
            def register_activations(self, register): register("own_step", lambda x: 2.0 * x, lambda x, y: 2.0)
        nbdl.register(Units())
        model = nbdl.Sequential([nbdl.layers.Dense(2, activation="own_step", input_dim=3)])
        model.save("own.nbdl")
    """
    assert run(None, "-c", textwrap.dedent(code), cwd=tmp_path).returncode == 0
    with pytest.raises(nbdl.errors.ConfigError, match=r"nbdl\.register") as caught:
        nbdl.load_model(tmp_path / "own.nbdl")
    assert "pip install" not in str(caught.value)


def test_two_formulas_on_one_line_are_told_apart() -> None:
    own = elementwise("losses", "one_line", (lambda y, p: (y - p) * (y - p), lambda y, p: 2.0 * (p - y)))
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    trained = []
    for loss in (own(), "mean_squared_error"):
        model = nbdl.Sequential([nbdl.layers.Dense(3, input_dim=4)], seed=1)
        model.compile(loss=loss, optimizer="sgd")
        model.fit(x, x[:, :3], verbose=0)
        trained.append(model.get_weights()[0])
    assert (trained[0] == trained[1]).all()


# -- what an author sees ------------------------------------------------------------------------------------


class Halfway(nbdl.Layer):
    """A layer without backward."""

    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        return x, None


class Nothing(nbdl.Layer):
    """A layer without anything."""


class Named(Halfway):
    """A layer that says its activation by name."""

    def __init__(self) -> None:
        self.activation = "relu"  # type: ignore[assignment]

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return dy


def training(layer: Any) -> Any:
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    model = nbdl.Sequential([nbdl.layers.Dense(3, input_dim=3), layer], seed=1)
    model.compile(loss="mse", optimizer="sgd")
    model.fit(x, x, verbose=0)
    return model.predict(x)


@pytest.mark.parametrize(("layer", "method"), [(Halfway, "backward"), (Nothing, "forward")])
def test_a_method_that_was_not_written_is_named(layer: type[nbdl.Layer], method: str) -> None:
    with pytest.raises(NotImplementedError) as caught:
        training(layer(name="mine"))
    text = str(caught.value)
    assert f"{layer.__name__} 'mine' has no `{method}`: write def {method}(self, r: Recorder, x: Tensor" in text
    assert "Record" in text
    assert "return" in text


@pytest.mark.parametrize(
    ("base", "call", "named"),
    [
        (nbdl.Activation, lambda unit: unit.forward(None, None), "forward"),
        (nbdl.Loss, lambda unit: unit.values(None, None, None), "values"),
        (nbdl.Optimizer, lambda unit: unit.per_step(1), "per_step"),
        (nbdl.Metric, lambda unit: unit.update(None, None, None), "update"),
        (nbdl.Initializer, lambda unit: unit((2,), None), "__call__"),
        (nbdl.Schedule, lambda unit: unit(1), "__call__"),
    ],
)
def test_every_kinds_missing_methods_are_named(base: type, call: Any, named: str) -> None:
    with pytest.raises(NotImplementedError, match=f"Mine has no `{named}`: write def {named}"):
        call(type("Mine", (base,), {})())


def test_a_misspelt_name_in_build_is_not_hidden_by_the_property_that_built() -> None:
    class Misspelt(Halfway):
        def build(self, b: Any, shape: Any) -> Any:
            self.w = b.weight("w", shape, "zeroes")
            return shape

    model = nbdl.Sequential([Misspelt()])
    with pytest.raises(UnknownNameError):
        model.build((3,))
    for name in ("weights", "store", "output_shape"):
        with pytest.raises(UnknownNameError, match="Did you mean 'zeros'"):
            getattr(model, name)


def test_an_activation_by_name_is_applied() -> None:
    assert (training(Named()) >= 0).all()
    layer = Named()
    layer.activation = None
    assert layer.activation is None
    with pytest.raises(UnknownNameError, match=r"Named.*Did you mean 'relu'"):
        layer.activation = "rellu"  # type: ignore[assignment]


def test_a_third_partys_loss_declares_its_targets() -> None:
    session = apart()

    def losses(register: Any) -> None:
        register("shares", lambda y, p: y - p, lambda y, p: -1.0, targets="probabilities")

    session.register_module(module_of(register_losses=losses))
    model = nbdl.Sequential([nbdl.layers.Dense(2, input_dim=3)])
    model.compile(loss=session.registry.get("losses", "shares").target(), optimizer="sgd")
    with pytest.raises(nbdl.errors.DataError, match="'shares' takes targets from 0 to 1, y goes from 0 to 3"):
        model.fit(np.zeros((4, 3)), np.arange(8).reshape(4, 2) % 4, verbose=0)


def test_a_pair_is_no_loss() -> None:
    from nbdl.units.unit import BASES

    assert BASES["losses"] is nbdl.Loss
    assert nbdl.Pair.kind == ""
    assert nbdl.Pair not in BASES.values()
