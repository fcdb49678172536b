"""Third parties' plugins: a real package, installed, and broken in many ways; a session's own units."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl import hookimpl
from nbdl.errors import PluginError, UnknownNameError
from nbdl.registry import Registry, registry
from nbdl.specs import elementwise

TOY = Path(__file__).parent / "thirdparty" / "nbdl-toy"

TRAIN = """
    import json, numpy as np, nbdl
    from nbdl.layers import Dense, ToyScaledProduct
    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    first = ToyScaledProduct(6, activation="toy_step", input_dim=4)
    model = nbdl.Sequential([first, Dense(1, activation="toy_step")], seed=1)
    model.compile(loss="toy_loss", optimizer="adam", metrics=["accuracy"])
    losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    model.save("model.nbdl")
    same = bool((nbdl.load_model("model.nbdl").predict(x) == model.predict(x)).all())
    print(json.dumps([losses, same]))
"""
SURVEY = """
    import json, warnings, nbdl
    from nbdl.registry import registry
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        registry.load()
    offered = [e.name for e in registry.entries() if e.owner.distribution == "nbdl-toy"]
    names = lambda b: [b.owner.distribution, b.owner.plugin, b.module, b.reason, b.remedy]
    broken = [names(b) for b in registry.broken]
    print(json.dumps([offered, broken, [str(w.message) for w in caught], len(registry.names("layers"))]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy package, installed by pip into a folder of its own, from a copy: a build writes beside the source."""
    folder = tmp_path_factory.mktemp("toy")
    source = shutil.copytree(TOY, folder / "source")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-build-isolation",
        "--no-deps",
        "--no-index",
        "--quiet",
    ]
    done = subprocess.run(
        [*command, "--target", str(folder / "site"), str(source)], capture_output=True, text=True, check=False
    )
    if done.returncode and "No module named pip" in done.stderr:
        pytest.skip("pip is not there to install the third party's package with")
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture
def site(installed: Path, tmp_path: Path) -> Path:
    """A copy of the installed package, to be broken."""
    return shutil.copytree(installed, tmp_path / "site")


def run(site: Path | None, *command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {key: value for key, value in os.environ.items() if not key.endswith("_PLUGINS")} | environment
    if site is not None:
        settings["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=cwd, env=settings, check=False
    )


def answer(site: Path | None, code: str, cwd: Path, **environment: str) -> Any:
    done = run(site, "-c", textwrap.dedent(code), cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


# -- the package works --------------------------------------------------------------------------------------


def test_an_installed_plugin_trains_saves_and_loads(installed: Path, tmp_path: Path) -> None:
    losses, same = answer(installed, TRAIN, tmp_path)
    assert losses[-1] < losses[0]
    assert same


def test_a_file_lists_the_plugins_of_units_within_units(installed: Path, tmp_path: Path) -> None:
    code = """
        import json, zipfile, nbdl, sys, types
        from nbdl import hookimpl
        from nbdl.layers import Dense
        module = types.ModuleType("third_party")
        @hookimpl
        def register_regularizers(register):
            register("third_penalty", lambda w: w * w, lambda w: 2.0 * w)
        module.register_regularizers = register_regularizers
        from nbdl.registry import Owner, registry
        registry.load()
        registry.register_module(module, Owner("third", "third-party", "1.0"))
        listed = []
        for options, metrics in (({}, []), ({"kernel_regularizer": "third_penalty"}, []), ({}, ["toy_loss"])):
            model = nbdl.Sequential([Dense(2, input_dim=3, **options)])
            model.compile(loss="mse", optimizer="sgd", metrics=metrics)
            model.save("model.nbdl")
            head = json.loads(zipfile.ZipFile("model.nbdl").read("nbdl.json"))
            listed.append([plugin["distribution"] for plugin in head["plugins"]])
        print(json.dumps(listed))
    """
    assert answer(installed, code, tmp_path) == [["nbdl"], ["nbdl", "third-party"], ["nbdl", "nbdl-toy"]]


def test_a_third_partys_pair_is_used(installed: Path, tmp_path: Path) -> None:
    code = """
        import json, numpy as np, nbdl
        from nbdl.layers import Dense
        from nbdl_toy import losses
        x = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
        weights = []
        for pairs in ({}, nbdl.losses.toy_loss.pairs):
            nbdl.losses.toy_loss.pairs = pairs
            model = nbdl.Sequential([Dense(2, activation="toy_step", input_dim=4)], seed=1)
            model.compile(loss="toy_distance", optimizer="sgd")
            titles = [o.title for o in model.program("train").operations if o.layer == "loss"]
            model.fit(x, abs(x[:, :2]) / 4, verbose=0)
            weights.append(model.get_weights()[0].tolist())
            used = any("df_step" in title for title in titles)
            assert used == bool(pairs), titles
        print(json.dumps(weights))
    """
    alone, paired = answer(installed, code, tmp_path)
    assert [pytest.approx(row, abs=1e-6) for row in alone] == paired


def test_the_command_line_knows_a_plugins_units(installed: Path, tmp_path: Path) -> None:
    command = [
        "-m",
        "nbdl",
        "train",
        "digits",
        "--arch",
        "64-16:toy_step-10:toy_step",
        "--loss",
        "toy_loss",
        "--optimizer",
        "toy_descent",
        "--epochs",
        "2",
        "--patience",
        "0",
        "-o",
        "toy.nbdl",
    ]
    done = run(installed, *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "toy.nbdl").exists()
    listing = run(installed, "-m", "nbdl", "plugins", cwd=tmp_path)
    assert "nbdl-toy" in listing.stdout
    without = run(None, "-m", "nbdl", "predict", "toy.nbdl", "digits", cwd=tmp_path)
    assert without.returncode not in (0, 1), without.stdout
    assert "pip install nbdl-toy==0.1.0" in without.stderr
    assert "Traceback" not in without.stderr


def test_a_file_says_which_package_is_missing(installed: Path, tmp_path: Path) -> None:
    answer(installed, TRAIN, tmp_path)
    done = run(None, "-c", "import nbdl; nbdl.load_model('model.nbdl')", cwd=tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert "ConfigError" in last
    assert "model.nbdl" in last
    assert "pip install nbdl-toy==0.1.0" in last


def test_plugins_are_chosen_by_environment(installed: Path, tmp_path: Path) -> None:
    offered, broken, _, layers = answer(installed, SURVEY, tmp_path)
    assert set(offered) == {"toy_step", "toy_loss", "ToyScaledProduct", "toy_spread", "toy_descent"}
    assert not broken
    assert answer(installed, SURVEY, tmp_path, NBDL_DISABLE_PLUGINS="toy, other")[0] == []
    assert answer(installed, SURVEY, tmp_path, NBDL_LOAD_PLUGINS="other")[0] == []
    assert answer(installed, SURVEY, tmp_path, NBDL_LOAD_PLUGINS="")[0] == []
    only, _, _, both = answer(installed, SURVEY, tmp_path, NBDL_LOAD_PLUGINS="toy")
    assert (set(only), both) == (set(offered), layers)


# -- the package is broken ----------------------------------------------------------------------------------

HOOK = "from nbdl import hookimpl\nimport nbdl\n"
BROKEN = {
    "import error": ("import missing_dependency_of_toy\n", "missing_dependency_of_toy"),
    "exits at import": ("raise SystemExit('bye')\n", "SystemExit"),
    "raises at import": ("1 / 0\n", "ZeroDivisionError"),
    "syntax error": ("def f(:\n", "SyntaxError"),
    "misspelt hook": (HOOK + "@hookimpl\ndef register_activation(register): ...\n", "register_activations"),
    "wrong signature": (HOOK + "@hookimpl\ndef register_activations(registry): ...\n", "registry"),
    "taken name": (
        HOOK + "@hookimpl\ndef register_activations(register):\n"
        "    register('toy_first', lambda x: x, lambda x, y: 1.0)\n"
        "    register('Re_LU', lambda x: x, lambda x, y: 1.0)\n",
        "already registered by nbdl",
    ),
    "taken alias": (
        HOOK + "@hookimpl\ndef register_activations(register):\n"
        "    register('toy_second', lambda x: x, lambda x, y: 1.0, aliases=('tanh',))\n",
        "already registered by nbdl",
    ),
    "not a unit": (
        HOOK + "@hookimpl\ndef register_layers(register):\n    register('ToyWrong', dict)\n",
        "subclasses of nbdl.Layer",
    ),
    "formula of too few arguments": (
        HOOK
        + "@hookimpl\ndef register_activations(register):\n    register('toy_wrong', lambda: 1.0, lambda x, y: 1.0)\n",
        "at least 1 argument",
    ),
    "one formula of two": (
        HOOK + "@hookimpl\ndef register_activations(register):\n    register('toy_wrong', lambda x: x)\n",
        "2 leading argument",
    ),
    "no name": (
        HOOK + "@hookimpl\ndef register_activations(register):\n    register('', lambda x: x, lambda x, y: 1.0)\n",
        "a name is letters",
    ),
    "raises after one unit": (
        HOOK + "@hookimpl\ndef register_activations(register):\n"
        "    register('toy_first', lambda x: x, lambda x, y: 1.0)\n    raise RuntimeError('half way')\n",
        "half way",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_module_takes_nothing_else_down(how: str, site: Path, tmp_path: Path) -> None:
    text, expected = BROKEN[how]
    (site / "nbdl_toy" / "extra.py").write_text(text)
    offered, broken, warned, layers = answer(site, SURVEY, tmp_path)
    assert set(offered) == {"toy_step", "toy_loss", "ToyScaledProduct", "toy_spread", "toy_descent"}
    assert layers > 3
    [[distribution, plugin, module, reason, remedy]] = broken
    assert (distribution, plugin, module) == ("nbdl-toy", "toy", "nbdl_toy.extra")
    assert expected in reason
    assert "NBDL_DISABLE_PLUGINS=toy" in remedy
    [text] = warned
    assert all(part in text for part in ("nbdl-toy", "0.1.0", "nbdl_toy.extra", reason, remedy))
    strict = run(site, "-c", "import nbdl; nbdl.registry.registry.load()", cwd=tmp_path, NBDL_STRICT_PLUGINS="1")
    assert strict.returncode != 0
    assert expected.split(" ")[0] in strict.stderr or "bye" in strict.stderr


def test_a_packages_own_tests_are_not_read(site: Path, tmp_path: Path) -> None:
    package = site / "nbdl_toy"
    (package / "tests").mkdir()
    for name in ("tests/__init__", "tests/test_inside", "test_beside", "conftest", "__main__"):
        (package / f"{name}.py").write_text("1 / 0\n")
    (package / "testing_ground.py").write_text(HOOK)
    offered, broken, warned, _ = answer(site, SURVEY, tmp_path)
    assert len(offered) == 5
    assert (broken, warned) == ([], [])


def test_a_package_that_cannot_be_imported_is_named_when_its_unit_is_asked_for(site: Path, tmp_path: Path) -> None:
    (site / "nbdl_toy" / "__init__.py").write_text("import missing_dependency_of_toy\n")
    offered, broken, warned, _ = answer(site, SURVEY, tmp_path)
    assert (offered, len(broken), len(warned)) == ([], 1, 1)
    done = run(site, "-W", "ignore", "-c", "import nbdl; nbdl.activations.toy_step", cwd=tmp_path)
    assert "nbdl plugins" in done.stderr.splitlines()[-1]
    listing = run(site, "-m", "nbdl", "plugins", cwd=tmp_path)
    assert "missing_dependency_of_toy" in listing.stdout + listing.stderr


def test_two_threads_that_look_up_first_both_find_all(site: Path, tmp_path: Path) -> None:
    (site / "nbdl_toy" / "slow.py").write_text("import time\ntime.sleep(0.5)\n")
    code = """
        import json, threading, time
        from nbdl.registry import registry
        found = []
        def look():
            one = registry.find("activations", "toy_step")
            found.append(one is not None and "toy_descent" in registry.names("optimizers"))
        threads = [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
            time.sleep(0.2)
        for thread in threads: thread.join()
        print(json.dumps(found))
    """
    assert answer(site, code, tmp_path, NBDL_LOAD_PLUGINS="toy") == [True, True]


# -- a session's own ----------------------------------------------------------------------------------------


def module_of(**hooks: Any) -> types.ModuleType:
    module = types.ModuleType("session_units")
    for name, hook in hooks.items():
        setattr(module, name, hookimpl(hook))
    return module


def test_a_session_registers_all_or_nothing() -> None:
    units = Registry()
    owned = len(units.entries())

    def taken(register: Any) -> None:
        register("session_one", lambda x: x, lambda x, y: 1.0)
        register("relu", lambda x: x, lambda x, y: 1.0)

    def losses(register: Any) -> None:
        register("session_loss", lambda y, p: y - p, lambda y, p: -1.0)

    with pytest.raises(PluginError, match="already registered by nbdl"):
        units.register_module(module_of(register_activations=taken, register_losses=losses))
    assert units.find("activations", "session_one") is None
    assert units.find("losses", "session_loss") is None
    assert len(units.entries()) == owned
    assert units.get("activations", "relu").owner.distribution == "nbdl"
    units.register_module(module_of(register_losses=losses))
    assert units.get("losses", "SessionLoss").owner.distribution == "this session"


@pytest.mark.parametrize("nothing", [lambda: 3, "math", object(), types.ModuleType("empty")], ids=repr)
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
    model._input_shape = (3,)
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
    units = Registry()

    def losses(register: Any) -> None:
        register("shares", lambda y, p: y - p, lambda y, p: -1.0, targets="probabilities")

    units.register_module(module_of(register_losses=losses))
    model = nbdl.Sequential([nbdl.layers.Dense(2, input_dim=3)])
    model.compile(loss=units.get("losses", "shares").target(), optimizer="sgd")
    with pytest.raises(nbdl.errors.DataError, match="'shares' takes targets from 0 to 1, y goes from 0 to 3"):
        model.fit(np.zeros((4, 3)), np.arange(8).reshape(4, 2) % 4, verbose=0)


def test_a_pair_is_no_loss() -> None:
    from nbdl.units import BASES

    assert BASES["losses"] is nbdl.Loss
    assert nbdl.Pair.kind == ""
    assert nbdl.Pair not in BASES.values()
