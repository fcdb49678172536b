"""What authors of units are told: limits, units kept as they are given, errors of bodies, sessions, public names."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from nbdl_reference.contract import WRITTEN_WITH, written_with_page

import nbdl
from nbdl import Layer, Optimizer, Sequential, load_model
from nbdl.cli.app import app
from nbdl.engine.cpu.layout import OP_OPERANDS, OP_WORDS
from nbdl.errors import ConfigError, KernelError, PluginError
from nbdl.layers import Dense
from nbdl.plugins.registrar import registrar
from nbdl.testing import check_unit
from nbdl.units.registry import registry

X, Y = np.ones((8, 4), np.float32), np.zeros((8, 2), np.float32)


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test registers is taken back."""
    registry.load()
    with suppress(InterruptedError), registrar.owned(registrar.owner, ""):
        yield
        raise InterruptedError


# -- an optimizer's operands ----------------------------------------------------------------------------------


def rule(slots: int, scalars: int) -> type[Optimizer]:
    """An optimizer with so many slots, and numbers of each step, that does plain descent."""
    kept, numbers = [f"s{n}" for n in range(slots)], [f"c{n}" for n in range(scalars)]
    scope: dict[str, Any] = {}
    text = f"def update(w, g, {', '.join([*kept, *numbers])}):\n    return {', '.join(['w - 0.5 * g', *kept])}\n"
    exec(text, scope)

    class Ruled(Optimizer):
        """Plain descent."""

        def __init__(self) -> None:
            self.learning_rate = 0.5

        def per_step(self, step: Any) -> dict[str, Any]:
            return dict.fromkeys(numbers, 1.0)

        def update_function(self) -> Any:
            return scope["update"]

    Ruled.slots = tuple(kept)
    return Ruled


EVERYTHING: dict[str, Any] = {
    "weight_decay": 0.1, "global_clipnorm": 1.0, "use_ema": True, "ema_overwrite_frequency": 2,
    "gradient_accumulation_steps": 2,
}  # fmt: skip


def fitted(optimizer: Optimizer) -> Any:
    model = Sequential([Dense(2, input_dim=4)], seed=1)
    model.compile(optimizer, "mse")
    model.fit(X, Y, epochs=2, batch_size=4, verbose=0)
    return model.get_weights()


def test_a_lookahead_has_room_beside_all_common_arguments() -> None:
    fitted(rule(3, 7)(**EVERYTHING))


def test_as_many_numbers_as_there_is_room_for() -> None:
    most = (OP_WORDS - OP_OPERANDS) // 2
    plain = fitted(rule(0, 1)())
    for one, other in zip(plain, fitted(rule(0, most - 3)()), strict=True):
        np.testing.assert_array_equal(one, other)


def test_too_many_operands_are_told_by_what_takes_them() -> None:
    with pytest.raises(ConfigError) as caught:
        fitted(rule(2, 40)(**EVERYTHING))
    text = str(caught.value)
    assert f"there is room for {(OP_WORDS - OP_OPERANDS) // 2}" in text
    for part in ("Ruled: its update takes", "4 slots (s0, s1, accumulated, average)", "40 numbers of its own (c0, c1",
                 "weight_decay, global_clipnorm, use_ema", "leave out a common argument"):  # fmt: skip
        assert part in text, text


# -- units kept as they are given -----------------------------------------------------------------------------


class Kept(Layer):
    """A layer around another, which it keeps as it is given."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def build(self, b: Any, shape: Any) -> Any:
        return self.inner.build(b, shape)

    def forward(self, r: Any, x: Any) -> Any:
        return self.inner.forward(r, x)

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return self.inner.backward(r, x, y, dy, saved)


class Made(Kept):
    """The same, which makes a unit of what it is given."""

    def __init__(self, inner: Any) -> None:
        self.inner = self.unit("layers", inner)


class Several(Layer):
    """A layer around several."""

    def __init__(self, parts: Any) -> None:
        self.parts = list(parts)

    def forward(self, r: Any, x: Any) -> Any:
        return x, None


class Reads(Layer):
    """A layer that reads an attribute of what it is given."""

    def __init__(self, inner: Any) -> None:
        self.width = inner.units

    def forward(self, r: Any, x: Any) -> Any:
        return x, None


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (lambda: Kept(Dense(3), input_dim=4), r'`self\.inner = self\.unit\("layers", inner\)`'),
        (lambda: Kept(Made(Kept(Dense(3))), input_dim=4), r'`self\.inner = self\.unit\("layers", inner\)`'),
        (
            lambda: Several([Dense(3), Dense(2)], input_dim=4),
            r"`self\.parts = \[self\.unit\(\"layers\", one\) for one in parts\]`",
        ),
        (lambda: Reads(Dense(3), input_dim=4), r"raises AttributeError: .*self\.unit"),
    ],
)
def test_a_layer_that_keeps_a_unit_as_it_is_given_is_not_saved(layer: Any, said: str, tmp_path: Path) -> None:
    for one in (Kept, Made, Several, Reads):
        nbdl.register(f"t_{one.__name__}", one)
    model = Sequential([layer()])
    with pytest.raises(ConfigError, match=said) as caught:
        model.save(tmp_path / "m.nbdl")
    assert "damaged" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_layer_that_makes_its_unit_is_saved(tmp_path: Path) -> None:
    nbdl.register("t_made", Made)
    model = Sequential([Made(Made(Dense(3)), input_dim=4), Dense(2, kernel_regularizer="l2")], seed=1)  # type: ignore[call-arg]
    model.save(tmp_path / "m.nbdl")
    np.testing.assert_array_equal(load_model(tmp_path / "m.nbdl").predict(X), model.predict(X))


def test_a_file_of_such_a_layer_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier versions wrote such files."""
    nbdl.register("t_kept", Kept)
    monkeypatch.setattr("nbdl.model.write.check_remade", lambda layer: None)
    Sequential([Kept(Dense(3), input_dim=4)]).save(tmp_path / "m.nbdl")  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match=r'self\.inner = self\.unit\("layers", inner\)') as caught:
        load_model(tmp_path / "m.nbdl")
    assert "damaged" not in str(caught.value)


# -- errors of bodies -----------------------------------------------------------------------------------------


class Bodied(Layer):
    """A layer of one body."""

    def __init__(self, body: Any) -> None:
        self.body = body

    def forward(self, r: Any, x: Any) -> Any:
        return r.kernel(self.body, x, shapes=[x.shape]), None


def never_set(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        total += x[i, 0]  # type: ignore[name-defined] # noqa: F821
        y[i, 0] = total  # type: ignore[name-defined]


def set_on_one_way(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        if x[i, 0] > 5.0:
            factor = 2.0
        y[i, 0] = factor * x[i, 0]


def printing(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        print(x[i, 0])
        for j in range(y.shape[1]):
            y[i, j] = 1.0


def colours(x: Any, y: Any) -> None:
    y[0, 0] = x.nothing


@pytest.mark.parametrize(
    ("body", "said", "line"),
    [
        (never_set, "uses 'total' before it is set. Set it on every way", 2),
        (set_on_one_way, "uses 'factor' before it is set. Set it on every way", 4),
        (printing, "calls print, which compiled code does not have", 2),
    ],
)
def test_mistakes_of_bodies_are_told_in_words(body: Any, said: str, line: int) -> None:
    with pytest.raises(KernelError, match=said) as caught:
        Sequential([Bodied(body, input_dim=4)]).predict(X)  # type: ignore[call-arg]
    assert caught.value.line == body.__code__.co_firstlineno + line
    assert "\x1b" not in str(caught.value)


def test_no_colours_of_the_compiler_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core.errors import TypingError

    from nbdl.program.language.explain import found
    from nbdl.program.operation import Operation

    text = (
        "\x1b[1m\x1b[1mFailed in untyped mode pipeline (step: analyzing bytecode)\x1b[0m\n\x1b[1mSomething new\x1b[0m"
    )
    operation = Operation("kernel", (), (), (None, 1), colours)
    fault = found(TypingError(text), "", [operation])
    assert fault is not None
    assert "\x1b" not in fault.why
    assert "Something new" in fault.why


def test_a_notebook_shows_the_message_alone() -> None:
    """IPython asks an error for what to show."""
    with pytest.raises(KernelError) as caught:
        Sequential([Bodied(printing, input_dim=4)]).predict(X)  # type: ignore[call-arg]
    assert caught.value._render_traceback_() == [f"KernelError: {caught.value}"]


# -- a session ------------------------------------------------------------------------------------------------


def steep(x: float, k: float = 2.0) -> float:
    return k * x * x


def steep_slope(x: float, y: float, k: float = 2.0) -> float:
    return 2.0 * k * x


@pytest.mark.parametrize("kind", [None, "activation"])
@pytest.mark.parametrize("name", ["t_steep", ""])
def test_a_partial_is_told_from_a_function(kind: str | None, name: str) -> None:
    given = (functools.partial(steep, k=3.0), functools.partial(steep_slope, k=3.0))
    with pytest.raises(PluginError, match=r"steep is given as a functools\.partial.*def f\(x, k=3\.0\)"):
        nbdl.register(*([name] if name else []), *given, kind=kind)


def test_a_partial_is_told_where_it_is_recorded() -> None:
    class Mapped(Layer):
        def forward(self, r: Any, x: Any) -> Any:
            return r.map(functools.partial(steep, k=3.0), x), None

    with pytest.raises(ConfigError, match=r"functools\.partial"):
        Sequential([Mapped(input_dim=4)]).predict(X)


def test_a_unit_of_a_session_passes_the_suite_without_a_docstring() -> None:
    nbdl.register("t_steep", steep, steep_slope)
    check_unit("activations/t_steep")


# -- what is documented ---------------------------------------------------------------------------------------


def test_what_layers_are_written_with_has_public_names() -> None:
    from nbdl.program.recorder import Recorder
    from nbdl.program.tensor import Tensor
    from nbdl.units.builder import Builder

    assert (nbdl.Recorder, nbdl.Builder, nbdl.Tensor) == (Recorder, Builder, Tensor)
    assert {"Recorder", "Builder", "Tensor"} <= set(nbdl.__all__)


def test_every_promised_operation_is_on_its_page() -> None:
    promised = (Path(__file__).parents[1] / "plugins/README.md").read_text("utf-8")
    for name, methods in WRITTEN_WITH.items():
        page = written_with_page(name)
        for method in methods:
            assert f"## `{method}`" in page
            assert f"`{method}`" in promised or f"`{name}.{method}`" in promised
    own = {name for name in dir(nbdl.Recorder) if not name.startswith("_")}
    engine = {"input", "scalar", "check", "recording", "finish"}
    assert own - engine == set(WRITTEN_WITH["Recorder"]), "a new operation belongs on the page, or to the engine"


def test_the_kinds_of_package_are_listed_without_a_name() -> None:
    done = CliRunner().invoke(app, ["plugins", "new"])
    assert done.exit_code == 0
    assert "activation" in done.output
    assert "template" in done.output
    done = CliRunner().invoke(app, ["plugins", "new", "--kind", "layer"])
    assert done.exit_code == 2
    assert "nbdl plugins new NAME --kind layer" in done.output
