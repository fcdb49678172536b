"""The core knows kinds, never a unit: no name of a unit, and no import of the standard units, in `nbdl/`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributions import answer, written

import nbdl
from nbdl.units.constructor import parameters_of
from nbdl.units.entry import normalise
from nbdl.units.registry import base_of, registry
from nbdl.units.unit import Unit

CORE = Path(nbdl.__file__).parent
UNITS = {
    normalise(name): f"{entry.kind} {entry.name}"
    for entry in registry.entries()
    if entry.owner.distribution == "nbdl" and entry.kind != "templates"  # these are named as the kinds are
    for name in (entry.name, *entry.aliases)
}
PACKAGES = {entry.module.split(".")[0] for entry in registry.entries() if entry.owner.distribution == "nbdl"}

# Words that are units' names and mean something else here, as identifiers and as strings, with the reason.
MEANT_OTHERWISE = {
    "activation": "the singular of a kind, and the base class of its units",
    "constant": "of a syntax tree, of LLVM, and a run-time constant of a program",
    "input": "what a batch brings to a program",
    "add": "a scalar function, a method of models and sets",
    "c": "a name of variables, and numpy's word for an order of elements",
    "precision": "of a GPU's products",
    "reshape": "numpy's word",
    "average": "of weights, which an optimizer may keep: a slot, and its name in files",
    "lambda": "of Python's syntax trees",
    "maximum": "numpy's word",
    "minimum": "numpy's word",
    "multiply": "numpy's and CUDA's word",
    "concatenate": "numpy's word",
    "uniform": "an operation of programs, and numpy's word",
    "normal": "numpy's word",
}
# The same, as identifiers only.
IDENTIFIERS = {
    "one": "a number, or the one that is meant",
    "ones": "numpy.ones",
    "zero": "a number",
    "zeros": "numpy.zeros",
    "flatten": "numpy's word",
    "csv": "the standard library's module",
    "npz": "numpy's file format, in which weights are stored",
    "tanh": "mathematics: numpy's, and nbdl's own for the scalar language",
}
# The same, in one file only.
IN_FILE = {
    ("program/language/derivative.py", "tanh"): "a function of `math`",
    ("program/language/maths.py", "sigmoid"): "mathematics of the scalar language",
    ("program/language/maths.py", "cosine"): "mathematics of the scalar language",
    ("units/random.py", "truncatednormal"): "what initializers draw from",
    ("cli/figures.py", "r2"): "what `nbdl evaluate` prints, in the data's own units",
    ("cli/figures.py", "rmse"): "what `nbdl evaluate` prints, in the data's own units",
    ("plugins/recipe.py", "maxtime"): "an option of the command line, for recipes to understand",
    ("cli/train.py", "maxtime"): "an option of the command line, for recipes to understand",
    ("cli/train.py", "dropout"): "an option of the command line, for recipes to understand",
    ("cli/train.py", "l2"): "an option of the command line, for recipes to understand",
    ("engine/cuda/dialect.py", "tanh"): "one of the names of libdevice's functions",
}
COMPILER = "engine/compiler.py"


def core_files() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def docstrings(tree: ast.Module) -> set[int]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                found.add(id(first.value))
    return found


def words(tree: ast.Module) -> Iterator[tuple[str, int, bool]]:
    """Every word of a file, its line, and whether it is a string."""
    exempt = docstrings(tree)
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in exempt:
            yield node.value, line, True
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            word = getattr(node, field, None)
            if isinstance(word, str):
                yield word.rpartition(".")[2], line, False
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from ((name, line, False) for name in node.names)


def violations(path: str, text: str) -> list[str]:
    found = []
    for word, line, is_string in words(ast.parse(text)):
        name = normalise(word)
        allowed = name in MEANT_OTHERWISE or (path, name) in IN_FILE or (not is_string and name in IDENTIFIERS)
        if name in UNITS and not allowed:
            found.append(f"{path}:{line}: {word!r} is the unit {UNITS[name]}")
    return found


def test_the_core_names_no_unit() -> None:
    assert len(UNITS) > 30
    assert "nbdl_standard" in PACKAGES, "the standard units are not there to be looked for"
    found = [one for path in core_files() for one in violations(str(path.relative_to(CORE)), path.read_text())]
    assert not found, "\n".join(found)


def test_the_lists_of_exceptions_hold_nothing_that_is_not_needed() -> None:
    present = {
        (str(path.relative_to(CORE)), normalise(word))
        for path in core_files()
        for word, _, _ in words(ast.parse(path.read_text()))
    }
    everywhere = {word for _, word in present}
    assert all(key in present for key in IN_FILE)
    assert all(word in everywhere for word in (*MEANT_OTHERWISE, *IDENTIFIERS))


@pytest.mark.parametrize(
    "planted",
    [
        "if kind == 'Dense': pass",
        "optimizer = 'rms_prop'",
        "if loss.unit_name in ('categorical-crossentropy',): pass",
        "def relu(x): return x",
        "model.dropout = 1",
        "fit(softmax=True)",
        "from x import Adam",
        "from x import y as relu",
        "class SGD: pass",
        "weights = 'zeros'",
        "names = {'acc': 1}",
    ],
)
def test_a_planted_name_is_found(planted: str) -> None:
    assert violations("planted.py", planted)


# What authors subclass. It says what the arguments of every unit of a kind mean, and nothing of one unit's.
AUTHORING = CORE / "units"
# Arguments of units whose names are strings there and mean something else.
ARGUMENTS_MEANT_OTHERWISE = {
    "average": "what the average of a weight is stored under",
    "filepath": "Keras's name of the path of a model file",
    "m": "minutes",
    "p": "the predictions of a scalar function",
    "shape": "an attribute of arrays",
}


def arguments_of_units() -> set[str]:
    """The arguments that units of the standard package take, rename or lack, without those of their kinds."""
    units = [
        entry
        for entry in registry.entries()
        if entry.owner.distribution == "nbdl" and isinstance(entry.target, type) and issubclass(entry.target, Unit)
    ]
    of_kinds: set[str] = set()
    for base in {base_of(entry.kind) for entry in units}:
        of_kinds |= {*dir(base), *base.common, *base.last_positions, *base.ranges}
        of_kinds |= {*base._missing.ignored, *base._missing.instead, *base.renamed, *base.renamed.values()}
    found: set[str] = set()
    for target in (entry.target for entry in units):
        found |= {*parameters_of(target), *target._missing.ignored, *target._missing.instead}
        found |= {*target.renamed, *target.ranges}
    return found - of_kinds


def arguments_named(path: str, text: str, names: set[str]) -> list[str]:
    return [
        f"{path}:{line}: {word!r} is an argument of single units: they declare it themselves"
        for word, line, is_string in words(ast.parse(text))
        if is_string and word in names
    ]


def test_the_core_names_no_argument_of_one_unit() -> None:
    names = arguments_of_units()
    assert {"rho", "beta_1", "epsilon", "renorm", "noise_shape", "multi_label", "profile_batch"} <= names
    assert set(ARGUMENTS_MEANT_OTHERWISE) <= names
    found = [
        one
        for path in sorted(AUTHORING.rglob("*.py"))
        for one in arguments_named(path.name, path.read_text(), names - set(ARGUMENTS_MEANT_OTHERWISE))
    ]
    assert not found, "\n".join(found)


def test_each_argument_that_means_something_else_is_there() -> None:
    there = {word for path in AUTHORING.rglob("*.py") for word, _, is_string in words(ast.parse(path.read_text()))}
    assert set(ARGUMENTS_MEANT_OTHERWISE) <= there


@pytest.mark.parametrize(
    "planted",
    [
        "RANGES = {'beta_1': (0.0, 1.0)}",
        "HARMLESS = {'noise_shape': (None,)}",
        "if kwargs.get('epsilon', 0) is None: del kwargs['epsilon']",
        "INSTEAD = {'renorm': 'not there'}",
        "unused = ('profile_batch', 'write_graph')",
    ],
)
def test_a_planted_argument_is_found(planted: str) -> None:
    assert arguments_named("planted.py", planted, arguments_of_units())


def test_docstrings_are_exempt() -> None:
    assert not violations("planted.py", '"""Dense"""\ndef f():\n    "relu"\n')


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_core_imports_no_plugin_package() -> None:
    for path in core_files():
        tree = ast.parse(path.read_text())
        named = [*imports(tree), *(word for word, _, is_string in words(tree) if is_string)]
        assert not [name for name in named if name.split(".")[0] in PACKAGES], path


def test_only_one_module_calls_the_compiler() -> None:
    decorators = {
        "numba.njit",
        "numba.jit",
        "numba.cfunc",
        "numba.vectorize",
        "numba.guvectorize",
        "numba.stencil",
    }
    for path in core_files():
        tree = ast.parse(path.read_text())
        where = str(path.relative_to(CORE))
        attributes = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        used = decorators & {*imports(tree), *attributes}
        assert not used or where == COMPILER, f"{where} uses {', '.join(sorted(used))}"
        assert where != COMPILER or used, "the check no longer sees what it looks for"


# All that a net needs, so that nbdl trains with this package alone; the layer has three of the four operations.
ALONE = """
    from nbdl import Initializer, Layer, Optimizer, hookimpl

    def scaled(x, s):
        return x * s

    class Scaled(Layer):
        def __init__(self, units, activation=None):
            self.units, self.activation = units, self.unit("activations", activation)

        def build(self, b, shape):
            self.scale = b.weight("scale", shape, "spread")
            self.matrix = b.weight("matrix", (shape[0], self.units), "spread")
            return (self.units,)

        def forward(self, r, x):
            z = r.map(scaled, x, self.scale)
            return r.gemm(z, self.matrix), z

        def backward(self, r, x, y, dy, saved):
            r.gradient(self.matrix, r.gemm(saved, dy, transpose_a=True))
            dz = r.gemm(dy, self.matrix, transpose_b=True)
            r.gradient(self.scale, r.sum(scaled, dz, x))
            return r.map(scaled, dz, self.scale)

    class Spread(Initializer):
        def __call__(self, shape, random):
            return random.uniform(shape, -1.0, 1.0)

    class Descent(Optimizer):
        def __init__(self, learning_rate=0.5):
            self.learning_rate = learning_rate

        def per_step(self, step):
            return {"rate": self.rate(step)}

        @staticmethod
        def update(w, g, rate):
            return w - rate * g

    @hookimpl
    def register_layers(register):
        register("Scaled", Scaled)

    @hookimpl
    def register_initializers(register):
        register("spread", Spread)

    @hookimpl
    def register_optimizers(register):
        register("descent", Descent)

    @hookimpl
    def register_activations(register):
        register("step", lambda x: 0.5 * (x / (1.0 + abs(x)) + 1.0), lambda x, y: 0.5 / (1.0 + abs(x)) ** 2)

    @hookimpl
    def register_losses(register):
        register("halves", lambda y, p: 0.5 * (y - p) ** 2, lambda y, p: p - y)
"""


def test_nbdl_trains_without_the_standard_units(tmp_path: Path) -> None:
    site = written(tmp_path / "site", "nbdl-alone", {"nbdl_alone.py": ALONE}, {"alone": "nbdl_alone"})
    code = """
        import json, sys, warnings
        warnings.simplefilter("error")
        import numpy as np, nbdl
        from nbdl.units.registry import registry
        assert not registry.broken, registry.broken
        from nbdl.layers import Scaled
        x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
        y = (x[:, :1] > 0).astype("float32")
        model = nbdl.Sequential([Scaled(6, activation="step", input_dim=4), Scaled(1)], seed=1)
        model.compile(loss="halves", optimizer="descent")
        losses = model.fit(x, y, epochs=5, verbose=0, validation_split=0.2).history["loss"]
        model.evaluate(x, y)
        model.save("model.nbdl")
        same = bool((nbdl.load_model("model.nbdl").predict(x) == model.predict(x)).all())
        owners = sorted({entry.owner.distribution for entry in registry.entries()})
        print(json.dumps([losses, same, owners, [name for name in sys.modules if name.startswith("nbdl_standard")]]))
    """
    environment = {"NBDL_DISABLE_PLUGINS": "standard,reference", "NBDL_LOAD_PLUGINS": "alone"}
    losses, same, owners, imported = answer(site, code, tmp_path, **environment)
    assert losses[-1] < losses[0]
    assert same
    assert owners == ["nbdl-alone"]
    assert imported == []
