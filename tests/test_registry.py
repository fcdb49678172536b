"""What the registry promises: nobody takes what is another's, nothing is half registered, nobody waits for ever."""

from __future__ import annotations

import importlib
import sys
import textwrap
import threading
import types
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from distributions import answer, run, written

import nbdl
from nbdl import hookimpl
from nbdl.errors import ConfigError, PluginError
from nbdl.layers import Dense
from nbdl.plugins.registrar import registrar
from nbdl.units.entry import Owner
from nbdl.units.registry import registry

THIEF = Owner("thief", "nbdl-thief", "1.0")
UNITS = """
    from nbdl import hookimpl

    @hookimpl
    def register_activations(register):
        register("t_{name}", lambda x: x, lambda x, y: 1.0)
"""
NAMES = """
    import json, warnings
    from nbdl.units.registry import registry
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        registry.load()
    own = [e.name for e in registry.entries() if e.owner.distribution != "nbdl"]
    print(json.dumps([own, [str(one.message) for one in caught], [b.reason for b in registry.broken]]))
"""


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test registers is taken back."""
    registry.load()
    with suppress(InterruptedError), registrar.owned(registrar.owner, ""):
        yield
        raise InterruptedError


def hooks(**functions: Any) -> types.ModuleType:
    module = types.ModuleType("t_module")
    for name, function in functions.items():
        setattr(module, name, hookimpl(function))
    return module


# -- what is another's ------------------------------------------------------------------------------------------


def test_nobody_takes_a_unit_of_another_by_registering_its_own_class() -> None:
    def theft(register: Any) -> None:
        register("Dense", Dense)

    with pytest.raises(PluginError, match="already registered by nbdl"):
        registrar.register_module(hooks(register_layers=theft), THIEF)
    with pytest.raises(PluginError, match="already registered by nbdl"):
        nbdl.register(Dense)
    assert registry.get("layers", "Dense").owner.distribution == "nbdl"


def test_one_module_by_two_entry_points_of_a_distribution_is_no_clash(tmp_path: Path) -> None:
    site = written(tmp_path / "site", "nbdl-two", {"t_two.py": UNITS.format(name="two")}, {"a": "t_two", "b": "t_two"})
    assert answer(site, NAMES, tmp_path)[:2] == [["t_two"], []]


class Mine(nbdl.Layer):
    """A layer."""


def test_a_refused_class_bears_no_mark() -> None:
    own = type("Own", (Mine,), {"renamed": {"size": "units"}})
    with pytest.raises(PluginError, match="already registered"):
        nbdl.register("Dense", own, renamed={"width": "units"})
    assert "unit_name" not in vars(own)
    assert own.renamed == {"size": "units"}
    nbdl.register("t_own", own, renamed={"width": "units"})
    assert own.unit_name == "t_own"
    assert own.renamed == {"size": "units", "width": "units"}


def test_a_class_has_one_name() -> None:
    own = type("Own", (Mine,), {})
    nbdl.register("t_first", own)
    with pytest.raises(PluginError, match=r"registered as 't_first' already; aliases=\('t_second',\)"):
        nbdl.register("t_second", own)
    nbdl.register("t_first", own, aliases=("t_second",))
    assert registry.get("layers", "t_second").target is own


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"aliases": "mse"}, r"write aliases=\('mse',\)"),
        ({"aliases": (3,)}, "a name is letters"),
        ({"kinks": 0.0}, "is the form, got 0.0"),
        ({"examples": {"alpha": 1}}, "is the form"),
        ({"expected_failures": "derivative"}, "is the form"),
        ({"renamed": "x"}, "is the form"),
        ({"aliases": ("a b(",)}, "a name is letters"),
    ],
)
def test_aliases_are_names_and_options_have_their_form(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(PluginError, match=expected):
        nbdl.register("t_unit", lambda x: x, lambda x, y: 1.0, **given)
    assert registry.find("activations", "t_unit") is None


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("dataset", 5, "datasets are functions"),
        ("reader", 5, "readers are functions"),
        ("exporter", "text", "exporters are functions"),
        ("recipe", 5, "recipes are functions"),
        ("template", 5, "templates are functions"),
        ("command", 5, 'a command is given as "module:object"'),
        ("command", "module", 'a command is given as "module:object"'),
        ("layer", 5, r"subclasses of nbdl\.Layer"),
        ("callback", dict, r"subclasses of nbdl\.Callback"),
        ("activation", abs, "no function written in Python"),
    ],
)
def test_what_is_no_unit_of_its_kind_is_refused(kind: str, given: Any, expected: str) -> None:
    with pytest.raises(PluginError, match=expected):
        nbdl.register("t_unit", *((given, given) if kind == "activation" else (given,)), kind=kind)


def test_both_functions_have_the_same_defaults() -> None:
    with pytest.raises(PluginError, match="defaults"):
        nbdl.register("t_unit", lambda x, a=1.0: a * x, lambda x, y, a=2.0: a)


@pytest.mark.parametrize("role", [{"default": True}, {"suffixes": (".x", ".csv")}, {"default_for": "classification"}])
def test_nobody_takes_what_stands_in_for_a_choice(role: dict[str, Any]) -> None:
    kind = {"default": "optimizers", "suffixes": "readers", "default_for": "recipes"}[next(iter(role))]
    own = type("Own", (nbdl.Optimizer,), {}) if kind == "optimizers" else lambda *_: None
    with pytest.raises(PluginError, match="is taken by"):
        nbdl.register("t_own", own, kind=kind, **role)
    assert registry.find(kind, "t_own") is None


# -- what a layer returns -----------------------------------------------------------------------------------------


def doubled(x: float) -> float:
    return 2.0 * x


class Right(nbdl.Layer):
    """Twice x, times a weight."""

    def build(self, b: Any, shape: Any) -> Any:
        self.w = b.weight("w", (shape[0], 2), "ones")
        return (2,)

    def forward(self, r: Any, x: Any) -> Any:
        return r.gemm(x, self.w), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        r.gradient(self.w, r.gemm(x, dy, transpose_a=True))
        return r.gemm(dy, self.w, transpose_b=True)


def times_two(self: Any, r: Any, x: Any) -> Any:
    return x * 2.0, None


def transposed(self: Any, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
    r.gradient(self.w, r.gemm(dy, x, transpose_a=True))
    return r.gemm(dy, self.w, transpose_b=True)


MISTAKES = {
    "nothing from build": ({"build": lambda self, b, shape: None}, r"build returned None"),
    "y alone": ({"forward": lambda self, r, x: r.gemm(x, self.w)}, r"forward returned .*return y, None"),
    "another width": ({"forward": lambda self, r, x: (r.map(doubled, x), None)}, r"forward gave .*build said"),
    "nothing from backward": ({"backward": lambda *_: None}, r"backward returned None"),
    "dy for dx": ({"backward": lambda self, r, x, y, dy, saved: dy}, r"backward returned .*gradient of its inputs"),
    "no gradient": ({"backward": lambda self, r, x, y, dy, saved: r.map(doubled, x)}, r"no gradient of .*/w'"),
    "a transposed gradient": ({"backward": transposed}, r"r\.gradient"),
    "arithmetic on tensors": ({"forward": times_two}, r"operations are recorded"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_layer_is_told_what_it_should_return(mistake: str) -> None:
    methods, expected = MISTAKES[mistake]

    def trained(unit: type[nbdl.Layer]) -> None:
        model = nbdl.Sequential([Dense(3, input_dim=3), unit(), Dense(1)], seed=1)
        model.compile(loss="mse", optimizer="sgd")
        model.fit([[1.0, 2.0, 3.0]] * 4, [[1.0]] * 4, verbose=0)

    trained(Right)
    with pytest.raises(ConfigError, match=expected) as caught:
        trained(type("Wrong", (Right,), methods))
    assert "dense" not in str(caught.value)


# -- a session --------------------------------------------------------------------------------------------------


def test_a_reloaded_module_replaces_what_it_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t_reloaded.py"
    path.write_text(UNITS.format(name="before").replace("    ", "", 1).replace("\n    ", "\n"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = importlib.import_module("t_reloaded")
    nbdl.register(module)
    path.write_text(path.read_text().replace("t_before", "t_afterwards"))
    importlib.invalidate_caches()
    nbdl.register(importlib.reload(module))
    assert registry.find("activations", "t_afterwards") is not None


def test_a_module_that_gets_hooks_later_can_be_registered() -> None:
    module = types.ModuleType("t_later")
    with pytest.raises(PluginError, match="no hooks"):
        nbdl.register(module)
    module.register_activations = hookimpl(  # type: ignore[attr-defined]
        lambda register: register("t_later", lambda x: x, lambda x, y: 1.0)
    )
    nbdl.register(module)
    assert registry.find("activations", "t_later") is not None


def test_two_files_of_one_name_are_two(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t_units.py").write_text(
            "import nbdl\nnbdl.register('t_unit', lambda x: x, lambda x, y: 1.0)\n"
        )
    nbdl.register(tmp_path / "one" / "t_units.py")
    nbdl.register(tmp_path / "one" / "t_units.py")
    with pytest.raises(PluginError, match=r"already registered by t_units\.py"):
        nbdl.register(tmp_path / "other" / "t_units.py")


# -- odd packages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["my-module", "", "a b", "7"])
def test_an_entry_point_that_names_no_module_takes_nothing_down(target: str, tmp_path: Path) -> None:
    site = written(tmp_path / "site", "nbdl-odd", {}, {"odd": target})
    own, warned, reasons = answer(site, NAMES, tmp_path)
    assert own == []
    assert len(warned) <= 1
    assert not reasons or "nbdl-odd" in warned[0]


def test_a_distribution_without_a_name_takes_nothing_down(tmp_path: Path) -> None:
    site = written(tmp_path / "site", "nbdl-odd", {"t_odd.py": UNITS.format(name="odd")}, {"odd": "t_odd"})
    [metadata] = site.glob("*.dist-info/METADATA")
    metadata.write_text("Metadata-Version: 2.1\n")
    done = run(site, "-c", "from nbdl.layers import Dense; print(Dense)", cwd=tmp_path)
    assert "Dense" in done.stdout, done.stderr


def test_an_entry_point_may_name_an_object(tmp_path: Path) -> None:
    text = """
        from nbdl import hookimpl

        class Plugin:
            @hookimpl
            def register_activations(self, register):
                register("t_object", lambda x: x, lambda x, y: 1.0)

        plugin, nothing = Plugin(), 3
    """
    site = written(tmp_path / "site", "nbdl-object", {"t_object.py": text}, {"object": "t_object:plugin"})
    assert answer(site, NAMES, tmp_path)[:2] == [["t_object"], []]
    site = written(tmp_path / "other", "nbdl-object", {"t_object.py": text}, {"object": "t_object:nothing"})
    own, warned, reasons = answer(site, NAMES, tmp_path)
    assert (own, len(warned)) == ([], 1)
    assert "has no hooks" in reasons[0]


def test_a_package_with_several_broken_modules_warns_once(tmp_path: Path) -> None:
    files = {f"t_many/{name}.py": "import missing_thing\n" for name in ("a", "b", "c")}
    site = written(tmp_path / "site", "nbdl-many", {"t_many/__init__.py": "", **files}, {"many": "t_many"})
    _, warned, reasons = answer(site, NAMES, tmp_path)
    assert len(reasons) == 3
    [text] = warned
    assert "2 more of its modules are broken" in text


def test_a_broken_plugin_is_an_error_once_where_warnings_are(tmp_path: Path) -> None:
    site = written(tmp_path / "site", "nbdl-bad", {"t_bad.py": "1 / 0\n"}, {"bad": "t_bad"})
    code = """
        import json, nbdl
        try:
            nbdl.layers.Dense
        except Warning as error:
            print(json.dumps([type(error).__name__, nbdl.layers.Dense.__name__]))
    """
    done = run(site, "-W", "error", "-c", textwrap.dedent(code), cwd=tmp_path)
    assert '["PluginWarning", "Dense"]' in done.stdout, done.stderr


# -- threads ------------------------------------------------------------------------------------------------------

WAITING = """
    import threading, time
    time.sleep({before})
    from nbdl.layers import Dense
    from nbdl import hookimpl

    @hookimpl
    def register_activations(register):
        register("t_waiting", lambda x: x, lambda x, y: 1.0)
"""
BOTH = """
    import faulthandler, json, threading, time
    faulthandler.dump_traceback_later(60, exit=True)
    from nbdl.units.registry import registry
    def importing():
        import t_waiting
    first = threading.Thread(target={first})
    first.start()
    time.sleep(0.1)
    second = threading.Thread(target={second})
    second.start()
    first.join(), second.join()
    print(json.dumps(registry.find("activations", "t_waiting") is not None))
"""


@pytest.mark.parametrize("slow", [0.0, 0.5])
@pytest.mark.parametrize("before", [0.0, 0.5])
@pytest.mark.parametrize("order", [("importing", "registry.load"), ("registry.load", "importing")])
def test_a_plugin_that_looks_up_while_it_is_imported_stops_nobody(
    slow: float, before: float, order: tuple[str, str], tmp_path: Path
) -> None:
    """Whoever comes to wait last: the thread that loads is held up before that plugin, or the plugin is."""
    text = WAITING.format(before=before)
    site = written(tmp_path / "site", "nbdl-waiting", {"t_waiting.py": text}, {"waiting": "t_waiting"})
    written(site, "nbdl-slow", {"a_slow.py": f"import time; time.sleep({slow})"}, {"a_slow": "a_slow"})
    assert answer(site, BOTH.format(first=order[0], second=order[1]), tmp_path) is True


def test_looking_up_never_misses_a_unit_that_is_registered_again() -> None:
    nbdl.register("t_again", lambda x: x, lambda x, y: 1.0)
    missed: list[BaseException] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            try:
                registry.get("activations", "t_again")
                registry.entries("activations")
            except BaseException as error:
                missed.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for _ in range(300):
            with warnings.catch_warnings():
                nbdl.register("t_again", lambda x: x, lambda x, y: 1.0)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert not missed, missed[0]
