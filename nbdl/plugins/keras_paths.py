"""The module paths of Keras 1, 2 and 3: each can be imported under `nbdl`, wherever nbdl keeps its contents.

One finder, which Python asks after all others, makes these modules when they are imported. It also explains a name that
`from nbdl.layers import ...` does not find: there Python drops the text of the module's own error.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, cast

PACKAGE = "nbdl"


def _under(package: str, names: str) -> list[str]:
    return [f"{package}.{name}" for name in names.split()]


# Where the contents of a path are: one or more of nbdl's modules, or objects in them.
PATHS: dict[str, tuple[str, ...]] = {
    "config": ("backend",),
    "initializations": ("initializers",),
    "objectives": ("losses",),
    "saving": ("models", "model.write", "model.read"),
    "optimizers.schedules": ("schedules",),
    "optimizers.schedules.learning_rate_schedule": ("schedules",),
    **{
        f"{package}.{name}": (package,)
        for package, names in {
            "activations": "activations",
            "callbacks": "callbacks callback callback_list tensorboard_v1",
            "constraints": "constraints",
            "initializers": "initializers initializers_v1 initializers_v2 constant_initializers random_initializers",
            "losses": "losses loss",
            "metrics": "metrics base_metric metric accuracy_metrics confusion_metrics probabilistic_metrics "
            "regression_metrics",
            "models": "model sequential cloning",
            "optimizers": "optimizer optimizers base_optimizer optimizer_v1 optimizer_v2",
            "regularizers": "regularizers",
        }.items()
        for name in names.split()
    },
    **dict.fromkeys(_under("saving", "saving_lib saving_api"), ("models", "model.write", "model.read")),
    **dict.fromkeys(_under("optimizers", "experimental legacy"), ("optimizers",)),
    **dict.fromkeys(_under("optimizers.legacy", "adam sgd rmsprop"), ("optimizers",)),
    **dict.fromkeys(
        _under(
            "layers",
            "activation advanced_activations attention containers convolutional convolutional_recurrent core "
            "cudnn_recurrent embeddings experimental local merge merging noise normalization pooling preprocessing "
            "layer recurrent regularization reshaping rnn wrappers experimental.preprocessing",
        ),
        ("layers",),
    ),
    **dict.fromkeys(
        _under("engine", "base_layer functional input_layer network sequential topology training base_layer_v1 saving"),
        ("models", "layers"),
    ),
    **dict.fromkeys(
        _under(
            "utils",
            "conv_utils data_utils generic_utils io_utils layer_utils multi_gpu_utils np_utils numerical_utils "
            "test_utils tf_utils vis_utils visualize_util",
        ),
        ("utils",),
    ),
    "legacy.saving": ("models", "model.write", "model.read"),
    "legacy": ("models", "losses"),
}

# Paths that authors were promised before the modules moved: where their names are now.
MOVED: dict[str, dict[str, str]] = {
    "exporting": {"fingerprint": "nbdl.model.fingerprint"},
    "initializing": {"fans": "nbdl.units.fans", "Stream": "nbdl.units.RandomStream"},
    "scaffold": {"Request": "nbdl.plugins.Request"},
    "registry": {"registry": "nbdl.units.registry.registry"},
}
# Modules that files of users name: Numba's caches hold the type of nets by its module.
PICKLED = {"nets": "nbdl.engine.nets", "nets.numba_type": "nbdl.engine.nets.numba_type"}

# Packages that have all of Keras within: what follows is found as if they were not there.
WITHIN = ("src", "api._v2.keras", "api._v1.keras", "api", "_tf_keras.keras")
OUTER = {part.rsplit(".", up)[0] for part in WITHIN for up in range(part.count(".") + 1)}
# What can be imported from nbdl besides `nbdl.__all__`, as Keras's users know it.
PUBLIC = (
    "activations", "backend", "callbacks", "config", "constraints", "datasets", "initializers", "layers", "losses",
    "metrics", "models", "optimizers", "regularizers", "saving", "schedules", "utils",
)  # fmt: skip

# What Keras has and nbdl has not, and what to do instead.
MISSING: dict[str, str] = {
    "DTypePolicy": "everything is float32",
    "Function": "Model(inputs, outputs) is a graph of layers",
    "Functional": "Model(inputs, outputs) is a graph of layers",
    "Graph": "Model(inputs, outputs) is a graph of layers",
    "InputSpec": "not needed: a layer's build is given the shape of its inputs and refuses what it does not take",
    "KerasTensor": "layers and models are called on what Input(shape=...) gives",
    "Operation": "nbdl's units are scalar functions or recorded operations: see nbdl.register and help(nbdl.Layer)",
    "Quantizer": "everything is float32",
    "RematScope": "nbdl keeps all values of a batch for the derivatives",
    "StatelessScope": "not needed: a layer's forward records operations, and weights are written by training alone",
    "SymbolicScope": "not needed: shapes are known when a model is built",
    "Variable": "a layer makes its weights in build, with b.weight(...)",
    "applications": "nbdl has no pretrained models",
    "custom_object_scope": "not needed: call nbdl.register(...) with your units before loading",
    "CustomObjectScope": "not needed: call nbdl.register(...) with your units before loading",
    "register_keras_serializable": "call nbdl.register(...) with your units before loading",
    "deserialize_keras_object": "each namespace reads its own units: nbdl.layers.deserialize(config)",
    "device": "a model runs on one device: see model.device",
    "export": "a model's export writes other formats: model.export(path), or the command nbdl export",
    "get_custom_objects": "call nbdl.register(...) with your units before loading",
    "get_registered_name": "call nbdl.register(...) with your units before loading",
    "get_registered_object": "call nbdl.register(...) with your units before loading",
    "get_source_inputs": "model.inputs are the symbols of a model's inputs",
    "get_file": "download the file with another package, such as pooch",
    "image_dataset_from_directory": "bring images to arrays with another package first",
    "text_dataset_from_directory": "bring text to arrays with another package first",
    "interfaces": "arguments of Keras 1 are taken where nbdl has the same under another name",
    "mixed_precision": "everything is float32; for a GPU's products see model.precision",
    "model_from_yaml": "write model.to_json(), read it with model_from_json",
    "multi_gpu_model": "a model runs on one device: see model.device",
    "name_scope": "not needed: weights are named after their layer",
    "ops": "nbdl's units are scalar functions or recorded operations: see nbdl.register and help(nbdl.Layer)",
    "pad_sequences": "bring sequences to arrays of one length first",
    "model_to_dot": "see nbdl.utils.plot_model, which needs no dot",
    "preprocessing": "bring images, text and sequences to arrays with another package first",
    "PyDataset": "not needed: fit takes any object with __getitem__ and __len__ that gives batches",
    "Sequence": "not needed: fit takes any object with __getitem__ and __len__ that gives batches",
    "random": "nbdl.set_random_seed(...) and Sequential(seed=...) say where all randomness comes from",
    "distribution": "a model runs on one device: see model.device",
    "quantizers": "everything is float32",
    "dtype_policies": "everything is float32",
    "serialize_keras_object": "each namespace writes its own units: nbdl.layers.serialize(layer)",
    "tree": "use Python's own lists and dicts",
    "visualization": "see model.summary() and model.explain()",
    "wrappers": "nbdl has no wrapper for scikit-learn; a model's own fit and predict take arrays",
}


def missing(module: str, name: str) -> AttributeError:
    """The error of a module that lacks a name."""
    hint = f": {MISSING[name]}" if name in MISSING else ""
    if not hint and module == PACKAGE and name[:1] != "_":
        from nbdl.errors import did_you_mean

        hint = f".{near}" if (near := did_you_mean(name, public_names(), 0.7)) else ""
    return AttributeError(f"module {module!r} has no attribute {name!r}{hint}", name=name)


def public_names() -> list[str]:
    """What nbdl offers at the top; modules that only its own code imports are left out."""
    return [*sys.modules[PACKAGE].__all__, *PUBLIC]


def elsewhere(module: str, name: str, homes: tuple[str, ...]) -> Any:
    """Return what a module has in other modules of nbdl.

    Raises:
        AttributeError: none of them has it.
    """
    if not name.startswith("__") and not _is_submodule(module, name):
        for home in map(_home, homes):
            if hasattr(home, name):
                return getattr(home, name)
        if name not in MISSING:
            return getattr(_home(homes[-1]), name)  # raises an error that knows the names that are there
    raise missing(module, name)


def _is_submodule(module: str, name: str) -> bool:
    """Whether `from module import name` means a module that is not imported yet: Python asks for an attribute first."""
    folders = vars(sys.modules[module]).get("__path__") if module in sys.modules else None
    return bool(folders) and PathFinder.find_spec(f"{module}.{name}", folders) is not None


class Alias(ModuleType):
    """A module whose contents are those of others."""

    homes: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            homes = [_home(path) for path in self.homes]
            return [one for home in homes for one in getattr(home, "__all__", None) or dir(home) if one[0] != "_"]
        return elsewhere(self.__name__, name, self.homes)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for path in self.homes for name in dir(_home(path)))})


def _home(path: str) -> Any:
    """A module of nbdl, or an object in one."""
    module, _, name = path.partition(":")
    found: Any = importlib.import_module(f"nbdl.{module}" if module else "nbdl")
    return found.__getattr__(name) if name else found  # once imported, its attribute is the path's own module


class Finder:
    """Finds the modules of `PATHS`, and datasets as the modules that they are in Keras."""

    @classmethod
    def find_spec(cls, fullname: str) -> ModuleSpec | None:
        """Return how to make a module; None where there is no such module.

        Raises:
            ImportError: there is none, and the text says what to do.
        """
        package, _, rest = fullname.partition(".")
        if package != PACKAGE or not rest:
            return None
        if rest in MOVED or rest in PICKLED:
            return ModuleSpec(fullname, cast(Any, _Moved(rest)), is_package=True)
        if rest in OUTER:
            rest = ""
        for prefix in WITHIN:
            rest = rest.removeprefix(f"{prefix}.")
        homes = cls._homes(rest, within=fullname != f"{package}.{rest}")
        if homes:
            loader: Any = _Loader(homes)
            return ModuleSpec(fullname, loader, is_package=True)
        if rest in MISSING:
            raise ImportError(f"there is no {fullname}: {MISSING[rest]}", name=fullname)
        cls._explain(fullname)
        return None

    @classmethod
    def _homes(cls, rest: str, within: bool) -> tuple[str, ...]:
        """Where the contents of a path are; none: it is no path of Keras's."""
        if within and rest in ("", *PUBLIC):
            return (rest,)
        return PATHS.get(rest) or cls._dataset(rest) or cls._unit(rest)

    @staticmethod
    def _unit(rest: str) -> tuple[str, ...]:
        """The namespace of a unit whose module Keras names after it, such as optimizers.adam and layers.core.dense."""
        from nbdl.units.registry import UNIT_KINDS, registry

        kind, name = rest.split(".")[0], rest.rpartition(".")[2]
        entry = registry.find(kind, name) if kind in UNIT_KINDS and name == name.lower() != kind else None
        return () if entry is None or name in (entry.name, *entry.aliases) else (kind,)

    @staticmethod
    def _dataset(rest: str) -> tuple[str, ...]:
        kind, _, name = rest.partition(".")
        known = kind == "datasets" and hasattr(_home(kind), name)
        return (f"{kind}:{name}",) if known else ()

    @staticmethod
    def _explain(fullname: str) -> None:
        """Raise the text of the module's own error for a name that it looks up."""
        parent, _, name = fullname.rpartition(".")
        module = sys.modules.get(parent)
        if not name:
            return
        if parent == PACKAGE:
            text = str(missing(parent, name))
            if text != str(AttributeError(f"module {parent!r} has no attribute {name!r}")):
                raise ImportError(text, name=fullname)
        elif hasattr(module, "__getattr__"):
            try:
                getattr(module, name)
            except AttributeError as error:
                raise ImportError(str(error), name=fullname) from None


class _Moved:
    """Makes a module whose names are elsewhere now."""

    def __init__(self, path: str) -> None:
        self.path = path

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return a new module; None for Python's own kind."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Let the module look its names up where they are now."""
        path = self.path
        if path in PICKLED:
            home = importlib.import_module(PICKLED[path])
            vars(module).update({name: value for name, value in vars(home).items() if name[:2] != "__"})
            return

        def find(name: str) -> Any:
            if name not in MOVED[path]:
                raise missing(f"{PACKAGE}.{path}", name)
            newer = MOVED[path][name]
            warnings.warn(f"{PACKAGE}.{path}.{name} is now {newer}", DeprecationWarning, stacklevel=2)
            home, _, renamed = newer.rpartition(".")
            return getattr(importlib.import_module(home), renamed)

        vars(module)["__getattr__"] = find


class _Loader:
    def __init__(self, homes: tuple[str, ...]) -> None:
        self.homes = homes

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = Alias(spec.name, "A path of Keras's; its contents are elsewhere in nbdl.")
        module.homes = self.homes
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: contents are looked up when they are asked for."""
