"""Units without a package: those of a notebook, of a script, of one file."""

from __future__ import annotations

import functools
import importlib.util
import sys
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from nbdl.errors import ConfigError, NbdlError, PluginError
from nbdl.plugins.discovery import GROUP
from nbdl.plugins.registrar import registrar
from nbdl.storage.outputs import as_path
from nbdl.units.elementwise import ELEMENTWISE, kind_of_functions, refuse_partial
from nbdl.units.entry import Owner
from nbdl.units.registry import kind_named, registry
from nbdl.units.unit import BASES, Unit

# Names of functions that say what they are for, rather than what they compute.
ROLES = {"<lambda>", *(role for _, roles in ELEMENTWISE.values() for role, _ in roles)}


def register(*parts: Any, kind: str | None = None, **options: Any) -> Any:
    """Register units in this session, without a package: they are found by name from then on.

    A unit may be registered again, as a notebook's cell is run again; models that are there keep the older one.

    Args:
        parts: one of
            a name and scalar functions, as a plugin's hook takes them: `register("cube", f, df)`;
            a class, by its own name or after another: `register(MyLayer)`, `register("my_layer", MyLayer)`;
            a function of another kind, a dataset for instance: `register("points", load, kind="dataset")`;
            modules or objects with hooks, and hooks themselves: `register(my_module)`;
            a file of Python with any of these in it: `register(Path("my_units.py"))`;
            nothing, for a decorator with options: `@register(aliases=("mine",))`.
        kind: "activation", "loss", ... By default what the base class says, or the functions' first arguments:
            f(x), df(x, y) are an activation; f(y, p), df(y, p) a loss; penalty(w), gradient(w) a regularizer;
            project(w) a constraint; f(y, p) alone a metric.
        options: as the hook's `register` takes them: aliases, examples, kinks, ...

    Returns:
        The unit's class (or function), so that this is a decorator of classes, too; None for modules and files.

    Raises:
        PluginError: an invalid unit, a taken name, no hooks, or a file that fails.

    >>> def f(x):
    ...     return x * x * x
    >>> def df(x, y):
    ...     return 3.0 * x * x
    >>> Cube = register("doctest_cube", f, df)
    >>> from nbdl.layers import Dense
    >>> Dense(4, activation="doctest_cube").activation
    doctest_cube()
    """
    registry.load()
    if not parts:
        return functools.partial(register, kind=kind, **options)
    first, name = parts[0], ""
    if isinstance(first, str) and len(parts) > 1:
        (name, first), parts = parts[:2], parts[1:]
    if _is_path(first):
        for path in parts:
            register_file(path)
        return None
    if isinstance(first, type) and issubclass(first, Unit):
        return _add_class(first, name, kind, options)
    if kind is not None or name or _are_functions(parts) or _is_partial(first):
        return _add_functions(parts, name, kind, options)
    for module in parts:
        _add_module(module)
    return None


def register_file(path: str | Path) -> Owner:
    """Run a file of Python and register its units: hooks, and what the file itself gives to `nbdl.register`.

    Returns:
        The file as an owner: its name stands for a distribution's.

    Raises:
        ConfigError: there is no such file.
        PluginError: it fails, registers nothing, or registers something invalid; nothing of it is registered then.
    """
    path = as_path(path, "path")
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    owner = Owner(str(path.resolve()), path.name, "")
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is not a file of Python: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    registry.load()
    before, known = sys.modules.get(name), {id(entry) for entry in registry.entries()}
    sys.modules[name] = module
    try:
        with registrar.owned(owner, name):
            _run(spec.loader, module, path)
            _register_hooks(module, path, owner)
            if all(id(entry) in known for entry in registry.entries()):
                raise PluginError(
                    f"{path} registers nothing: decorate its register_... functions with @nbdl.hookimpl, or call "
                    "nbdl.register(...) in it"
                )
    except BaseException:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    return owner


def _module_name(path: Path) -> str:
    """The file's own name, which listings show, unless a module of that name is or may be imported."""
    if not path.stem.isidentifier():
        return f"nbdl_file_{path.stem}"
    imported = sys.modules.get(path.stem)
    spec = importlib.util.find_spec(path.stem) if imported is None else None
    file = getattr(imported, "__file__", "") if imported is not None else spec.origin if spec else None
    return path.stem if file in (None, str(path.resolve())) else f"nbdl_file_{path.stem}"


def _run(loader: Any, module: ModuleType, path: Path) -> None:
    """Run a file; an error in it names the file's own line."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # as `python file.py` does: it may import its neighbours
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no part of a command's output
            loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except SyntaxError as error:
        raise PluginError(f"{error.filename}:{error.lineno}: {error.msg}") from error
    except BaseException as error:
        raise _placed(error, path) from error
    finally:
        sys.path.remove(folder)


def _register_hooks(module: ModuleType, path: Path, owner: Owner) -> None:
    """Register a file's hooks; an error in one names the file's own line."""
    try:
        registrar.register_module(module, owner)
    except Exception as error:
        raise _placed(error, path) from error


def _placed(error: BaseException, path: Path) -> PluginError:
    """An error with the file's line where it came from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path.resolve())]
    location = f"{path}:{frames[-1].lineno}" if frames else str(path)
    return PluginError(f"{location}: {error if isinstance(error, NbdlError) else f'{type(error).__name__}: {error}'}")


def _is_path(part: Any) -> bool:
    return isinstance(part, Path) or (isinstance(part, str) and part.endswith(".py"))


def _are_functions(parts: tuple[Any, ...]) -> bool:
    return all(isinstance(one, FunctionType) and not _is_hook(one) for one in parts)


def _is_partial(part: Any) -> bool:
    return isinstance(part, functools.partial)


def _is_hook(part: Any) -> bool:
    return hasattr(part, f"{GROUP}_impl")


def _add_class(unit: type[Unit], name: str, kind: str | None, options: dict[str, Any]) -> type[Unit]:
    own = next((known for known, base in BASES.items() if issubclass(unit, base)), "")
    if not own:
        raise PluginError(f"{unit.__name__} is a unit of no kind: derive it from nbdl.Layer, nbdl.Activation, ...")
    asked = own if kind is None else kind_named(kind)
    if asked != own:
        raise PluginError(f"{unit.__name__} is one of the {own}, not of the {asked}")
    registrar.add(asked, name or unit.__name__, unit, **options)
    return unit


def _add_functions(functions: tuple[Any, ...], name: str, kind: str | None, options: dict[str, Any]) -> Any:
    for one in functions:
        if _is_partial(one):  # whose arguments would not tell the kind
            refuse_partial(one, name)
    name = name or getattr(functions[0], "__name__", "")
    if not name or name in ROLES:
        raise PluginError('a unit of functions needs a name: nbdl.register("my_unit", f, df)')
    known = kind_named(kind) if kind is not None else _kind(name, functions)
    target = registrar.add(known, name, *functions, **options).target
    if isinstance(target, type) and target.__module__ == "__main__" and not target.__doc__:
        target.__doc__ = f"{name}: registered in this session."
    return target


def _kind(name: str, functions: tuple[Any, ...]) -> str:
    found = kind_of_functions(functions) if all(isinstance(one, FunctionType) for one in functions) else ""
    if found:
        return found
    forms = {
        kind: " and ".join(f"{role}({', '.join(leading)})" for role, leading in roles)
        for kind, (_, roles) in ELEMENTWISE.items()
    }
    shown = "; ".join(f"{kind} are {form}" for kind, form in forms.items())
    raise PluginError(
        f"{name!r}: the functions' arguments do not tell what kind of unit this is. By their first arguments, {shown}. "
        'Rename them, or say kind="activation"'
    )


def _add_module(module: Any) -> None:
    if isinstance(module, Unit):
        raise PluginError(
            f"{module!r} is one unit, made with its arguments; register its class, {type(module).__name__}"
        )
    if _is_hook(module):
        namespace = ModuleType(getattr(module, "__module__", "session"))
        setattr(namespace, module.__name__, module)
        module = namespace
    if not registrar.register_module(module):
        raise PluginError(
            f"{module!r} has no hooks, so nothing was registered: decorate its register_... functions with "
            "@nbdl.hookimpl, or give nbdl.register a name and functions, or a class"
        )
