"""Units of a session: functions, classes and files that are no package, and functions without any source."""

from __future__ import annotations

import ast
import math
import random
import subprocess
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl import hookimpl
from nbdl.errors import ConfigError, PluginError, UnknownNameError
from nbdl.layers import Dense
from nbdl.plugins.registrar import registrar
from nbdl.program.language import bytecode as from_bytecode
from nbdl.units.arguments import Range
from nbdl.units.registry import registry


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test registers is taken back."""

    registry.load()
    with suppress(InterruptedError), registrar.owned(registrar.owner, ""):
        yield
        raise InterruptedError


def cube(x: float, scale: float = 1.0) -> float:
    return scale * x * x * x


def cube_slope(x: float, y: float, scale: float = 1.0) -> float:
    return 3.0 * scale * x * x


# -- what may be given --------------------------------------------------------------------------------------


def test_a_pair_of_functions_is_an_activation() -> None:
    unit = nbdl.register("t_cube", cube, cube_slope, examples=({"scale": 0.5},))
    assert unit.kind == "activations"
    assert registry.get("activations", "TCube").target is unit
    assert Dense(3, activation="t_cube").activation.arguments == {}
    assert registry.get("activations", "t_cube").options["examples"] == ({"scale": 0.5},)


@pytest.mark.parametrize(
    ("functions", "kind"),
    [
        ((lambda y, p: y - p, lambda y, p: -1.0), "losses"),
        ((lambda y, p: abs(y - p),), "metrics"),
        ((lambda w: w * w, lambda w: 2.0 * w), "regularizers"),
        ((lambda w, most=1.0: min(w, most),), "constraints"),
        ((lambda x: x, lambda x, y: 1.0), "activations"),
    ],
)
def test_the_first_arguments_tell_the_kind(functions: tuple[Any, ...], kind: str) -> None:
    assert nbdl.register("t_unit", *functions).kind == kind


def test_a_kind_is_asked_for_where_the_arguments_do_not_tell() -> None:
    functions = (lambda z: z, lambda z, y: 1.0)
    with pytest.raises(PluginError, match="what kind"):
        nbdl.register("t_unit", *functions)
    assert nbdl.register("t_unit", *functions, kind="activation").kind == "activations"
    with pytest.raises(ConfigError, match="Did you mean 'activation"):
        nbdl.register("t_unit", *functions, kind="activashun")


def test_functions_take_their_own_name_unless_it_says_what_they_are_for() -> None:
    assert nbdl.register(cube, cube_slope).unit_name == "cube"

    def f(x: float) -> float:
        return x

    def df(x: float, y: float) -> float:
        return 1.0

    with pytest.raises(PluginError, match="needs a name"):
        nbdl.register(f, df)


class Doubled(nbdl.Layer):
    """Twice the inputs."""

    def forward(self, r: Any, x: Any) -> Any:
        return r.map(double, x), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.map(double, dy)


def double(x: float) -> float:
    return 2.0 * x


def test_a_class_by_its_name_or_another_and_as_a_decorator() -> None:
    assert nbdl.register(Doubled) is Doubled
    assert registry.get("layers", "doubled").target is Doubled
    assert nbdl.register("t_twice", type("Twice", (Doubled,), {})).unit_name == "t_twice"

    @nbdl.register(aliases=("t_other",))
    class Another(Doubled):
        pass

    assert registry.get("layers", "t_other").target is Another
    with pytest.raises(PluginError, match="one of the layers"):
        nbdl.register(Doubled, kind="losses")


def test_hooks_modules_and_other_kinds() -> None:
    @hookimpl
    def register_constraints(register: Any) -> None:
        register("t_clip", lambda w: min(w, 1.0))

    nbdl.register(register_constraints)
    assert registry.find("constraints", "t_clip") is not None

    def points(folder: Any = None) -> Any:
        """Some points."""
        return (np.zeros((2, 1)), np.zeros(2)), (np.zeros((1, 1)), np.zeros(1))

    assert nbdl.register("t_points", points, kind="dataset", task="regression") is points
    assert nbdl.datasets.t_points.load_data is points


@pytest.mark.parametrize("nothing", [types.ModuleType("empty"), 3, print, Doubled()])
def test_what_registers_nothing_is_refused(nothing: Any) -> None:
    with pytest.raises(PluginError):
        nbdl.register(nothing)


def test_a_cell_may_be_run_again_and_others_names_are_safe() -> None:
    first = nbdl.register("t_cube", cube, cube_slope, aliases=("t_old",))
    again = nbdl.register("t_cube", cube, cube_slope)
    assert first is not again
    assert registry.get("activations", "t_cube").target is again
    assert registry.find("activations", "t_old") is None
    with pytest.raises(PluginError, match="already registered by nbdl"):
        nbdl.register("relu", cube, cube_slope)
    assert registry.get("activations", "relu").owner.distribution == "nbdl"


def test_a_misspelt_option_is_refused() -> None:
    with pytest.raises(PluginError, match="Did you mean 'examples'"):
        nbdl.register("t_cube", cube, cube_slope, exmples=())
    assert registry.find("activations", "t_cube") is None


# -- files ----------------------------------------------------------------------------------------------------

UNITS = """
import nbdl
from nbdl import hookimpl

def f(x):
    return x * x * x

def df(x, y):
    return 3.0 * x * x

@hookimpl
def register_activations(register):
    register("t_file_cube", f, df)

nbdl.register("t_file_penalty", lambda w: w * w, lambda w: 2.0 * w)
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "t_units.py"
    path.write_text(text)
    return path


def test_a_file_of_units(tmp_path: Path) -> None:
    nbdl.register(written(tmp_path, UNITS))
    for kind, name in (("activations", "t_file_cube"), ("regularizers", "t_file_penalty")):
        owner = registry.get(kind, name).owner
        assert (owner.distribution, owner.installed) == ("t_units.py", False)
    nbdl.register(str(written(tmp_path, UNITS)))  # as a file is run again


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\n", "t_units.py registers nothing"),
        ("def f(:\n", r"t_units.py:1: "),
        ("\n\n1 / 0\n", "t_units.py:3: ZeroDivisionError"),
        (UNITS + "\nraise SystemExit(3)\n", "SystemExit"),
        (UNITS.replace("register_activations", "register_activation"), "register_activations"),
        (UNITS.replace("t_file_cube", "relu"), r"t_units.py:13: activations 'relu' is already registered by nbdl"),
    ],
)
def test_a_bad_file_is_named_and_leaves_nothing(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(PluginError, match=expected) as caught:
        nbdl.register(written(tmp_path, text))
    assert "t_units.py" in str(caught.value)
    assert registry.find("regularizers", "t_file_penalty") is None
    assert registry.find("activations", "t_file_cube") is None


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        nbdl.register(tmp_path / "nowhere.py")


def test_a_file_with_the_name_of_a_module_does_not_hide_it(tmp_path: Path) -> None:
    path = tmp_path / "colorsys.py"
    path.write_text(UNITS)
    nbdl.register(path)
    import colorsys

    assert hasattr(colorsys, "rgb_to_hsv")


# -- what a saved model needs -----------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A model with a unit of a file, which is forgotten again."""
    with suppress(InterruptedError), registrar.owned(registrar.owner, ""):
        nbdl.register(written(tmp_path, UNITS))
        nbdl.Sequential([Dense(2, input_dim=3, activation="t_file_cube")], seed=1).save(tmp_path / "model.nbdl")
        raise InterruptedError
    return tmp_path / "model.nbdl"


def test_a_model_with_a_files_units_names_the_file(saved: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"'t_file_cube' of t_units.py, a file: call nbdl.register\(Path\('t_units.py'\)\) before loading",
    ):
        nbdl.load_model(saved)
    nbdl.register(saved.parent / "t_units.py")
    assert nbdl.load_model(saved).layers[0].activation.unit_name == "t_file_cube"


def test_a_unit_of_somebody_else_under_the_same_name_is_told(saved: Path) -> None:
    nbdl.register("t_file_cube", cube, cube_slope)
    with pytest.warns(UserWarning, match="of t_units.py; here it is that of this session"):
        nbdl.load_model(saved)


# -- functions without a source ---------------------------------------------------------------------------------


def sourceless(text: str, name: str = "function", **others: Any) -> Callable[..., Any]:
    scope: dict[str, Any] = {"math": math, "SLOPE": 0.125, **others}
    exec(compile(textwrap.dedent(text), "<typed>", "exec"), scope)
    return scope[name]  # type: ignore[no-any-return]


def again(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that its own code is read as."""
    tree = from_bytecode.read(function)
    scope = {**function.__globals__}
    exec(compile(ast.fix_missing_locations(ast.Module([tree], [])), "<read>", "exec"), scope)
    return scope[tree.name]  # type: ignore[no-any-return]


TYPED = [
    "def function(x, y=2.0): return -x ** 2 + +y",
    "def function(x, y): return x if x > y else y",
    "def function(x, y): return (x if 0.0 < x < 3.0 else math.tanh(y) ** 2) + SLOPE * x",
    "def function(x, y):\n    if x > 0.0 and y > 0.0 or x < -2.0:\n        return x\n    return y - x",
    "def function(x, y):\n    a = x\n    x, y = y, x\n    return a - 2.0 * x + 3.0 * y",
    "def function(x, y):\n    a = b = x * y\n    a += 1.0\n    if not a > b: a = -a\n    return a * b",
    "def function(x, y):\n    z = x\n    if y > 0: z = z * 2\n    if x > 0: z -= y\n    return max(z, 0.0, y) - z",
    "def function(x, y): return (x > 0 or y > 0) and x < y",
    "def function(x, y): return x + 1.0, y - 1.0",
    "def function(x, x__1):\n    x += 1.0\n    y = x * x__1\n    return y - x__1",
    "def function(x, y):\n    a, b = divmod(abs(x), 1.0 + abs(y))\n    return a - b",
    "def function(x, y):\n    if x: pass\n    elif y: return 1.0\n    else: return 2.0\n    return 3",
    "function = lambda x, y: math.exp(x) if x <= y else (math.pi if x == 3.0 else -x)",
]


@pytest.mark.parametrize("text", TYPED)
def test_code_is_read_as_what_it_does(text: str) -> None:
    function = sourceless(text)
    read = again(function)
    for x in (-3.0, -1.0, 0.0, 0.5, 2.0, 3.0):
        for y in (-2.0, 0.0, 1.0, 4.0):
            assert read(x, y) == function(x, y), (x, y)


def random_text(rng: random.Random) -> str:
    """A random function of the scalar language."""

    def value(depth: int) -> str:
        if depth == 0:
            return rng.choice(["x", "y", "z", "SLOPE", "0.5", "2"])
        a, b, c = (value(depth - 1 if rng.random() < 0.7 else 0) for _ in range(3))
        return rng.choice(
            [f"({a} + {b})", f"({a} * {b})", f"({a} - {b})", f"(-{a})", f"max({a}, {b})", f"math.tanh({a})",
             f"({a} if {condition(depth - 1)} else {b})", f"min({a}, {b}, {c})", f"abs({a})"]
        )  # fmt: skip

    def condition(depth: int) -> str:
        a, b, c = value(0), value(0), value(0)
        simple = rng.choice([f"{a} < {b}", f"{a} >= {b}", f"{a} < {b} <= {c}", f"not {a} > {b}"])
        return f"({simple} {rng.choice(['and', 'or'])} {condition(depth - 1)})" if depth > 0 else f"({simple})"

    def block(depth: int, indent: str) -> list[str]:
        lines = []
        for _ in range(rng.randint(1, 3)):
            kind = rng.random()
            if kind < 0.4 or depth == 0:
                lines.append(f"{indent}{rng.choice('xyz')} {rng.choice(['=', '+=', '*='])} {value(2)}")
            elif kind < 0.5:
                lines.append(f"{indent}x, z = {value(1)}, {value(1)}")
            else:
                lines += [f"{indent}if {condition(1)}:", *block(depth - 1, indent + "    ")]
                if rng.random() < 0.5:
                    lines += [f"{indent}else:", *block(depth - 1, indent + "    ")]
            if rng.random() < 0.1:
                lines.append(f"{indent}return {value(1)}")
                break
        return lines

    return "\n".join(["def function(x, y):", "    z = x - y", *block(2, "    "), f"    return {value(2)}"])


@pytest.mark.parametrize("seed", range(60))
def test_random_functions_are_read_as_what_they_do(seed: int) -> None:
    text = random_text(random.Random(seed))
    function = sourceless(text)
    try:
        read = again(function)
    except from_bytecode.Unreadable as error:
        assert "too many branches" in str(error)  # noqa: PT017
        return
    for x in (-2.5, -0.5, 0.0, 0.5, 1.5):
        for y in (-1.0, 0.25, 2.0):
            assert read(x, y) == function(x, y), text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def function(x):\n    for i in range(3): x += i\n    return x", "has a loop"),
        ("def function(x):\n    while x > 1.0: x -= 1.0\n    return x", "has a loop"),
        ("def function(x):\n    return [x][0]", "has a list"),
        ("def function(x):\n    return round(x, ndigits=1)", "arguments by name"),
        ("def function(x):\n    if x is None: return 0.0\n    return x", "in a file"),
    ],
)
def test_what_only_a_source_can_say_is_refused(text: str, why: str) -> None:
    function = sourceless(text)
    nbdl.register("t_typed", function, sourceless("def function(x, y): return 1.0"))
    model = nbdl.Sequential([Dense(2, input_dim=2, activation="t_typed")], seed=1)
    with pytest.raises(ConfigError, match=why):
        model.predict(np.zeros((2, 2), np.float32))


def test_a_read_function_is_compiled_as_the_same_function_of_a_file_is() -> None:
    nbdl.register("t_here", cube, cube_slope)
    text = "def function(x, scale=1.0): return scale * x * x * x"
    slope = "def function(x, y, scale=1.0): return 3.0 * scale * x * x"
    nbdl.register("t_typed", sourceless(text), sourceless(slope))
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    results = []
    for name in ("t_here", "t_typed"):
        model = nbdl.Sequential([Dense(4, input_dim=3, activation=name), Dense(1)], seed=1)
        model.compile(loss="mse", optimizer="adam")
        model.fit(x, x[:, :1], epochs=3, verbose=0)
        results.append(model.predict(x))
    assert np.array_equal(*results)


PROMPT = """
import math, numpy as np, nbdl
from nbdl.layers import Dense
nbdl.register("typed", lambda x: x * x if x < 2.0 else x, lambda x, y: 2.0 * x if x < 2.0 else 1.0, kinks=(2.0,))
model = nbdl.Sequential([Dense(3, input_dim=2, activation="typed"), Dense(1)], seed=1)
model.compile(loss=(lambda y, p: (y - p) ** 2, lambda y, p: 2.0 * (p - y)), optimizer="sgd")
x = np.random.default_rng(0).normal(size=(32, 2)).astype("float32")
print("losses", model.fit(x, x[:, :1], epochs=2, verbose=0).history["loss"])
"""


@pytest.mark.parametrize("how", [["-"], ["-i"], ["-c"]])
def test_piped_typed_and_given_on_the_command_line(how: list[str], tmp_path: Path) -> None:
    text = PROMPT if how != ["-i"] else PROMPT.strip() + "\n"
    command = [sys.executable, *how, *([text] if how == ["-c"] else [])]
    done = subprocess.run(
        command, input=None if how == ["-c"] else text, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert "losses [" in done.stdout, done.stderr


def test_a_pair_of_functions_may_have_older_spellings_of_its_arguments() -> None:
    nbdl.register("t_cube", cube, cube_slope, renamed={"factor": "scale"})
    layer = Dense(2, activation={"name": "t_cube", "config": {"factor": 0.25}})
    assert layer.activation.parameters == {"scale": 0.25}


def test_a_pair_of_functions_may_say_what_its_arguments_mean() -> None:
    nbdl.register(
        "t_cube", cube, cube_slope, ignored={"approximate": (False, None)}, instead={"approximate": "not there"},
        ranges={"scale": Range(0.0, 2.0)},
    )  # fmt: skip
    made = registry.make("activations", {"name": "t_cube", "config": {"scale": 0.5, "approximate": False}})
    assert made.get_config() == {"scale": 0.5}
    with pytest.raises(TypeError, match="approximate= is not there"):
        registry.make("activations", {"name": "t_cube", "config": {"approximate": True}})
    with pytest.raises(ConfigError, match="scale lies between 0 and 2, got 3"):
        registry.make("activations", {"name": "t_cube", "config": {"scale": 3}})
    with pytest.raises(PluginError, match="is the form"):
        nbdl.register("t_other", cube, cube_slope, ranges={"scale": (0.0, 2.0)})


def test_a_deprecated_hook_warns_whoever_implements_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbdl import hookspecs
    from nbdl.plugins.registrar import Registrar
    from nbdl.units.registry import Registry

    def register_constraints(register: Any) -> None:
        """Older."""

    older = hookspecs.hookspec(since="1.0", deprecated="write register_projections")(register_constraints)
    monkeypatch.setattr(hookspecs, "register_constraints", older)
    module = types.ModuleType("t_older")
    called: list[Any] = []
    module.register_constraints = hookimpl(lambda register: called.append(register))  # type: ignore[attr-defined]
    with pytest.warns(DeprecationWarning, match="register_constraints is deprecated: write register_projections"):
        Registrar(Registry(lambda: None)).register_module(module)
    assert called, "a deprecated hook still works"


def test_an_unknown_name_is_still_unknown() -> None:
    with pytest.raises(UnknownNameError):
        registry.get("activations", "t_cube")
