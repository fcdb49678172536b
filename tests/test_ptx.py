"""CUDA kernels without a GPU: what their text may say, the compiler, its cache, and what tells that a GPU is missing.

What needs the compiler runs in processes of its own, without the simulator, which hides the compiler where it is on.
"""

from __future__ import annotations

import ctypes
import importlib.util
import math
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nbdl.engine.cuda import availability, compiler, dialect
from nbdl.engine.cuda.compiler import ENTRY, Ptx, compile_ptx
from nbdl.engine.cuda.kernel_text import KernelText
from nbdl.errors import ConfigError

ROOT = Path(__file__).parents[1]
needs_compiler = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None or bool(availability.compiler_problem()),
    reason="needs the CUDA compiler: pip install 'nbdl[cuda]'",
)
needs_ptxas = pytest.mark.skipif(shutil.which("ptxas") is None, reason="needs ptxas on the PATH")
KERNEL = KernelText("halves", "def run(out, n):\n    out[n] = out[n] * float32(0.5)\n", ("float32*", "int32"), 32)


def run(code: str, cache: Path, simulator: bool = False, **more: str) -> str:
    """What a program prints, run with warnings as errors; with the simulator or without."""
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    environment = {**kept, "NBDL_CACHE": str(cache), **({"NUMBA_ENABLE_CUDASIM": "1"} if simulator else {}), **more}
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- the language of kernels ------------------------------------------------------------------------------


def angles() -> dict[str, Any]:
    """The text of sin, cos and tan, run by Python with what libdevice does."""

    def bits(value: Any, dtype: str) -> Any:
        return np.array(value).view(dtype)[()]

    libdevice = SimpleNamespace(
        fabsf=np.abs,
        rintf=np.rint,
        fmaf=lambda a, b, c: np.float32(np.longdouble(a) * np.longdouble(b) + np.longdouble(c)),
        isinff=lambda x: int(np.isinf(x)),
        float_as_int=lambda x: bits(np.float32(x), "int32"),
        int_as_float=lambda i: bits(np.int32(i), "float32"),
        clzll=lambda x: 64 - (int(x) & 2**64 - 1).bit_length(),
        umul64hi=lambda a, b: np.uint64((int(a) & 2**64 - 1) * (int(b) & 2**64 - 1) >> 64),
    )
    wrapping = {
        "int64": lambda x: np.array(x).astype(np.int64)[()],
        "int32": lambda x: np.array(x).astype(np.int32)[()],
    }
    names = {name: getattr(np, name) for name in ("float32", "uint32", "uint64")}
    found: dict[str, Any] = {**names, **wrapping, "device": lambda function: function, "libdevice": libdevice}
    exec(dialect.ANGLES, found)
    return found


def ulp(found: Any, wanted: float) -> float:
    """The error in units in the last place of float32."""
    return abs(float(found) - wanted) / float(np.spacing(np.float32(max(abs(wanted), 1e-38))))


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_angles_of_any_size() -> None:
    rng = np.random.default_rng(0)
    values = [*rng.uniform(-7, 7, 500), *rng.uniform(-48_000, 48_000, 500), *10.0 ** rng.uniform(4.5, 38.5, 1000)]
    values += [1.5707963705062866, 48_000.0, 48_000.004, 16367173.0 * 2.0**72, -3.0e38, 1e-30, -1e-42]
    functions = angles()
    for name, most in (("sin", 2.5), ("cos", 2.5), ("tan", 4.5)):
        for x in map(np.float32, values):
            wanted = precise(name, x)
            assert ulp(functions[name](x), wanted) <= most, f"{name}({x!r})"


def precise(name: str, x: Any) -> float:
    """The function of a float32, by an exact reduction: pi to 400 bits."""
    pi = (
        3141592653589793238462643383279502884197169399375105820974944592307816406286208998628034825342117067982148086513
    )
    scale = 10**111
    numerator, denominator = float(x).as_integer_ratio()
    rest = numerator * scale % (2 * pi * denominator)
    if 2 * rest > 2 * pi * denominator:
        rest -= 2 * pi * denominator
    return float(getattr(math, name)(float(rest / (scale * denominator)) if abs(x) > 1.0 else float(x)))


@pytest.mark.filterwarnings("ignore:invalid value")
def test_angles_of_no_size() -> None:
    functions = angles()
    for name in ("sin", "cos", "tan"):
        assert all(math.isnan(functions[name](np.float32(x))) for x in (math.inf, -math.inf, math.nan))
        if name != "cos":
            assert math.copysign(1.0, functions[name](np.float32(-0.0))) == -1.0


def test_simulated_mathematics(tmp_path: Path) -> None:
    """float32 in and out, no exception, no warning, whatever the argument; the scope says which names there are."""
    code = """
    import math, numpy as np
    from nbdl.engine.cuda import dialect
    scope = dialect.scope("simulator")
    names = set(vars(scope["math"])) - {"__name__", "__doc__", "__package__", "__loader__", "__spec__"}
    assert names >= {*dialect.LIBDEVICE, "sin", "cos", "tan", "isnan", "isinf", "isfinite", "degrees", "radians"}
    for name in names - {"pi", "e", "tau", "inf", "nan"}:
        function = getattr(scope["math"], name)
        two = name in ("atan2", "copysign", "hypot", "ldexp", "nextafter", "pow")
        for x in (0.0, -0.0, 0.7, -2.0, 1e30, -1e30, 200.0, math.inf, -math.inf, math.nan):
            second = {"ldexp": 3}.get(name, np.float32(0.0))
            value = function(*[np.float32(x), second][:1 + two])
            assert type(value) is (bool if name[:2] == "is" else np.float32), (name, x, value)
        if not two and name[:2] != "is" and name not in ("acosh", "gamma"):
            assert abs(function(np.float32(0.7)) - getattr(math, name)(0.7)) < 1e-6 * (1 + 40 * (name == "degrees"))
    m = scope["math"]
    assert m.floor(np.float32(-math.inf)) == -math.inf and m.pow(np.float32(0.0), np.float32(-1.0)) == math.inf
    assert m.gamma(np.float32(-0.0)) == -math.inf and math.isnan(m.gamma(np.float32(-2.0)))
    assert m.lgamma(np.float32(-2.0)) == math.inf and m.exp(np.float32(100.0)) == math.inf
    kernel = '''
    K = float32(2.0)
    @device
    def twice(x):
        return K * x
    def run(out, n):
        tile = cuda.shared.array(4, float32)
        i = cuda.threadIdx.x
        tile[i] = twice(out[i])
        cuda.syncthreads()
        out[i] = math.floor(tile[int32(3) - i]) + float32(cuda.blockIdx.x)
    '''
    import textwrap
    exec(textwrap.dedent(kernel), scope)
    out = np.array([0.3, 1.3, 2.3, 3.3], np.float32)
    scope["cuda"].jit(scope["run"])[1, 4](out, 4)
    assert out.tolist() == [6.0, 4.0, 2.0, 0.0] and out.dtype == np.float32, out
    """
    run(code, tmp_path, simulator=True)


def test_the_simulator_must_be_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "simulated", lambda: False)
    with pytest.raises(RuntimeError, match="NUMBA_ENABLE_CUDASIM=1"):
        dialect.scope("simulator")


# -- the cache --------------------------------------------------------------------------------------------


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Which kernels were compiled, by something that takes the compiler's place; the cache is empty."""
    done: list[str] = []

    def fake(kernel: KernelText, cc: tuple[int, int], backend: str) -> Ptx:
        done.append(kernel.title)
        return Ptx(ENTRY, f".version 9.0\n.visible .entry {ENTRY}(\n) // {kernel.text!r} {cc}\n")

    monkeypatch.setenv("NBDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "_compiled", fake)
    return done


def files() -> list[Path]:
    return sorted(compiler.ptx_folder().glob("*.ptx"))


def test_cached(compiled: list[str]) -> None:
    before = compiler.statistics.loaded
    first = compile_ptx(KERNEL, (9, 0))
    assert compile_ptx(KERNEL, (9, 0)) == first
    assert compiled == ["halves"]
    assert compiler.statistics.loaded == before + 1
    assert first.version == (9, 0)
    assert len(files()) == 1
    assert compiler.ptx_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "change", [{"text": KERNEL.text + "\n"}, {"parameters": ("float32*", "uint32")}, {"threads": 64}]
)
def test_another_kernel_is_another_file(compiled: list[str], change: dict[str, Any]) -> None:
    compile_ptx(KERNEL, (9, 0))
    compile_ptx(KernelText(**{**vars(KERNEL), **change}), (9, 0))
    assert len(compiled) == len(files()) == 2


def test_another_compiler_is_another_file(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    compile_ptx(KERNEL, (9, 0))
    compile_ptx(KERNEL, (8, 0))
    compile_ptx(KERNEL, (9, 0), "mlir")
    monkeypatch.setattr(compiler, "_toolchain", lambda: ["another version"])
    compile_ptx(KERNEL, (9, 0))
    assert len(compiled) == len(files()) == 4


def test_a_file_of_another_kernel_is_compiled_again(compiled: list[str]) -> None:
    wanted = compile_ptx(KERNEL, (9, 0))
    (path,) = files()
    compile_ptx(KERNEL, (8, 0))
    (other,) = set(files()) - {path}
    path.write_bytes(other.read_bytes())
    assert compile_ptx(KERNEL, (9, 0)) == wanted
    assert len(compiled) == 3


def test_a_link_is_replaced_and_not_followed(compiled: list[str], tmp_path: Path) -> None:
    compile_ptx(KERNEL, (9, 0))
    (path,) = files()
    kept = tmp_path / "kept"
    kept.write_text("precious")
    path.unlink()
    path.symlink_to(kept)
    compile_ptx(KERNEL, (9, 0))
    assert kept.read_text() == "precious"
    assert not path.is_symlink()


@pytest.mark.parametrize("damage", ["", "cut", "flipped", "foreign", "binary"])
def test_damaged_files_are_compiled_again(compiled: list[str], damage: str) -> None:
    wanted = compile_ptx(KERNEL, (9, 0))
    (path,) = files()
    content = path.read_bytes()
    damaged = {"cut": content[:-2], "flipped": content.replace(b"9.0", b"9.1"), "foreign": b"hello\n" + content}
    path.write_bytes(damaged.get(damage, b"\xff\xfe\x00" if damage == "binary" else b""))
    assert compile_ptx(KERNEL, (9, 0)) == wanted
    assert len(compiled) == 2
    assert path.read_bytes() == content


def test_a_folder_that_others_can_write_is_not_used(compiled: list[str]) -> None:
    compiler.ptx_folder().mkdir(parents=True)
    compiler.ptx_folder().chmod(0o777)
    with pytest.warns(UserWarning, match=r"CUDA kernels are compiled again .*chmod 700"):
        compile_ptx(KERNEL, (9, 0))
    compile_ptx(KERNEL, (9, 0))
    assert len(compiled) == 2
    assert not files()


# -- the compiler -----------------------------------------------------------------------------------------

COMPILE = """
import sys
import numpy as np
PATCH
from nbdl.engine.cuda import compiler
from nbdl.engine.cuda.kernel_text import KernelText
kernel = KernelText("logistic", '''
K = float32(1.0)
@device
def f(x):
    return K / (K + math.exp(-x))
def run(out, x, n):
    i = int32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
    if i < n:
        out[i] = f(x[i])
''', ("float32*", "float32*", "int32"), 128)
ptx = compiler.compile_ptx(kernel, (9, 0))
"""


def program(patch: str = "") -> str:
    return COMPILE.replace("PATCH", patch)


@needs_compiler
def test_a_second_process_does_not_import_the_compiler(tmp_path: Path) -> None:
    code = program() + "print(compiler.statistics, 'numba.cuda' in sys.modules, hash(ptx.text) and len(ptx.text))"
    first, second = run(code, tmp_path), run(code, tmp_path)
    assert first.startswith("Statistics(compiled=1, loaded=0) True")
    assert second.startswith("Statistics(compiled=0, loaded=1) False")
    assert first.split()[-1] == second.split()[-1]


@needs_compiler
def test_compiled_for_another_device_than_this(tmp_path: Path) -> None:
    """Without a driver, in float32, for the device and the threads that are asked for; patches do not stay."""
    code = program("vars(np).pop('row_stack', None)  # as NumPy 2.5 is") + textwrap.dedent("""
    assert '.target sm_90' in ptx.text and '.maxntid 128, 1, 1' in ptx.text and '.f64' not in ptx.text
    assert '.target sm_80' in compiler.compile_ptx(kernel, (8, 0)).text
    assert ptx.version <= (9, 9) and 'ex2.approx' in ptx.text
    assert ptx.text.count('\\t.param ') == 3 and 'NumbaEnv' not in ptx.text
    assert 'row_stack' not in vars(np)
    import numba.cuda.dispatcher as dispatcher, numba.cuda.api as api
    assert dispatcher.get_current_device is api.get_current_device
    """)
    run(code, tmp_path)


@needs_compiler
def test_a_private_name_that_moved(tmp_path: Path) -> None:
    """Where the patched name is gone, kernels without device functions still compile."""
    code = program("import numba.cuda.dispatcher as dispatcher; del dispatcher.get_current_device").replace(
        "f(x[i])", "x[i]"
    )
    assert run(code + "print(ptx.entry)", tmp_path) == ENTRY


@needs_compiler
def test_errors_name_the_kernel(tmp_path: Path) -> None:
    code = program() + textwrap.dedent("""
    from nbdl.errors import ConfigError
    for text in ("def run(out, n): out[n] = out.nothing", "def run(:", "x = 1"):
        try:
            compiler.compile_ptx(KernelText("the guilty one", text, ("float32*", "int32"), 32), (9, 0))
        except ConfigError as error:
            assert "'the guilty one' does not compile for sm_90" in str(error), error
        else:
            raise AssertionError(text)
    """)
    run(code, tmp_path)


@needs_compiler
def test_every_function_is_float32(tmp_path: Path) -> None:
    """No function of `math` has float64, local memory or a call in it, and each takes and gives float32."""
    code = program() + textwrap.dedent("""
    from nbdl.engine.cuda import dialect
    two = ("atan2", "copysign", "hypot", "nextafter", "pow")
    for name in [*dialect.LIBDEVICE, "sin", "cos", "tan", "degrees", "radians", "isnan", "isinf", "isfinite"]:
        arguments = "x[n], x[0]" if name in two else "x[n], n" if name == "ldexp" else "x[n]"
        text = f"def run(out, x, n):\\n    out[n] = float32(math.{name}({arguments}))\\n"
        made = compiler.compile_ptx(KernelText(name, text, ("float32*", "float32*", "int32"), 32), (9, 0)).text
        for forbidden in (".f64", ".local", "call"):
            assert forbidden not in made, (name, forbidden)
    """)
    run(code, tmp_path)


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(*_: Any) -> Any:
        raise ImportError("No module named 'numba_cuda'")

    monkeypatch.setenv("NBDL_CACHE", str(tmp_path))
    monkeypatch.setattr(compiler, "_capability", missing)
    monkeypatch.setattr(availability, "_installed", lambda module: False)
    with pytest.raises(ConfigError, match=r"numba-cuda is not installed.*pip install 'nbdl\[cuda\]'"):
        compile_ptx(KERNEL, (9, 0))


# -- what is missing --------------------------------------------------------------------------------------


class Driver:
    """A driver of CUDA 13.0 with one H200, or what a test makes of it."""

    def __init__(
        self, version: int = 13000, started: int = 0, count: int = 1, capability: tuple[int, int] = (9, 0)
    ) -> None:
        self.version, self.started, self.count, self.capability = version, started, count, capability

    def cuInit(self, flags: int) -> int:
        return self.started

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = self.version
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self.count
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:
        device._obj.value = number
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:
        value._obj.value = self.capability[attribute - availability.MAJOR]
        return 0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine on which nothing is missing."""
    for name in ("NUMBA_ENABLE_CUDASIM", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "numba", raising=False)  # which keeps to what it was imported with
    monkeypatch.setattr(availability, "_installed", lambda module: True)
    monkeypatch.setattr(availability, "library", lambda name: Path(f"/usr/local/cuda-13.0/lib64/lib{name}.so"))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    return monkeypatch


def test_nothing_is_missing(machine: pytest.MonkeyPatch) -> None:
    assert availability.problem() == ""
    assert "no device 1" in availability.problem(1)


@pytest.mark.parametrize("missing", ["numba_cuda", "cuda.core", "cuda.bindings"])
def test_a_package_is_missing(machine: pytest.MonkeyPatch, missing: str) -> None:
    machine.setattr(availability, "_installed", lambda module: module != missing)
    why = availability.problem()
    assert missing.replace("_", "-").replace(".", "-") in why
    assert "pip install 'nbdl[cuda]'" in why


@pytest.mark.parametrize("missing", ["nvvm", "nvrtc"])
def test_a_library_is_missing(machine: pytest.MonkeyPatch, missing: str) -> None:
    machine.setattr(availability, "library", lambda name: None if name == missing else Path("/opt/lib.so"))
    assert f"lib{missing} is not found" in availability.problem()
    assert "CUDA_HOME" in availability.problem()


def test_no_driver(machine: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError("libcuda.so.1: cannot open shared object file")

    machine.setattr(ctypes, "CDLL", absent)
    assert "no NVIDIA driver found" in availability.problem()
    assert "--gpus all" in availability.problem()


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        (Driver(started=100), "no GPU; start a container with its GPUs"),
        (Driver(count=0), "no GPU"),
        (Driver(started=34), "stub"),
        (Driver(started=803), "restart the machine"),
        (Driver(started=999), "CUDA error 999"),
        (Driver(version=12080), "of CUDA 12.8 .* of CUDA 13.0; update the driver, or pip install .*==12.8"),
        (Driver(version=11080), "of CUDA 11.8 "),
        (Driver(capability=(6, 1)), "compute capability 6.1; at least 7.5"),
    ],
)
def test_a_driver_that_does_not_serve(machine: pytest.MonkeyPatch, driver: Driver, said: str) -> None:
    machine.setattr(ctypes, "CDLL", lambda name: driver)
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(availability.problem())


@pytest.mark.parametrize(
    ("driver", "linker", "serves"),
    [((13, 0), (13, 5), True), ((13, 0), (13, 4), False), ((13, 0), None, False), ((12, 8), (13, 5), False)],
)
def test_nvjitlink_serves_drivers_of_its_major_version(
    machine: pytest.MonkeyPatch, driver: tuple[int, int], linker: tuple[int, int] | None, serves: bool
) -> None:
    versions = {"nvvm": (13, 5), "nvrtc": (13, 5), "nvJitLink": linker}

    def library(name: str) -> Path | None:
        version = versions[name]
        return Path("/usr/local/cuda-{}.{}/lib64/lib.so".format(*version)) if version else None

    machine.setattr(availability, "library", library)
    machine.setattr(ctypes, "CDLL", lambda name: Driver(version=1000 * driver[0] + 10 * driver[1]))
    assert (availability.problem() == "") == serves
    assert serves or "of CUDA 13.5; update the driver" in availability.problem()


def test_hidden_devices(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", "")
    machine.setattr(ctypes, "CDLL", lambda name: Driver(started=100))
    assert "CUDA_VISIBLE_DEVICES=''" in availability.problem()


def test_the_simulator_is_always_there(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(availability, "_installed", lambda module: False)
    machine.setenv("NUMBA_ENABLE_CUDASIM", "1")
    assert availability.problem() == ""


@pytest.mark.parametrize("setting", ["0", "1"])
def test_the_simulator_is_what_numba_was_imported_with(machine: pytest.MonkeyPatch, setting: str) -> None:
    machine.setenv("NUMBA_ENABLE_CUDASIM", setting)
    assert availability.simulated() == (setting == "1")
    machine.setitem(sys.modules, "numba", SimpleNamespace(config=SimpleNamespace(ENABLE_CUDASIM=setting == "0")))
    assert availability.simulated() == (setting == "0")


def test_looking_imports_nothing(tmp_path: Path) -> None:
    code = """
    import sys
    from nbdl.engine.cuda import availability
    availability.problem()
    assert not {"numba", "numba.cuda", "cuda.core", "cuda.bindings"} & set(sys.modules)
    """
    run(code, tmp_path)


def test_libraries_are_found_in_wheels_and_toolkits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel = tmp_path / "site-packages" / "nvidia" / "cu13" / "lib" / "libnvvm.so.4"
    linker = tmp_path / "site-packages" / "nvidia" / "nvjitlink" / "lib" / "libnvJitLink.so.12"
    toolkit = tmp_path / "cuda-12.9" / "nvvm" / "lib64" / "libnvvm.so.4"
    for path in (wheel, linker, toolkit):
        path.parent.mkdir(parents=True)
        path.touch()
    for name in availability.TOOLKITS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda-12.9"))
    assert availability.library("nvvm") == toolkit
    assert availability.compiler_version() == (12, 9)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site-packages")])
    assert availability.library("nvvm") == wheel
    assert availability.library("nvJitLink") == linker


# -- all kernels ------------------------------------------------------------------------------------------


@needs_compiler
@needs_ptxas
@pytest.mark.parametrize("what", ["--check --every 6", pytest.param("--check", marks=pytest.mark.long), "--planted"])
def test_all_kernels(what: str) -> None:
    """Every kernel of every unit is as the table says, and each planted defect is found."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    command = [sys.executable, "-W", "error", str(ROOT / "scripts" / "ptx.py"), *what.split()]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
