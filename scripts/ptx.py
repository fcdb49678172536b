"""Compiles every CUDA kernel of every unit to PTX, without a GPU, and checks what comes out.

    python scripts/ptx.py                  # writes the table, scripts/gpu/ptx.md
    python scripts/ptx.py --check          # compares with the table; exit status 1 if a kernel is at fault
    python scripts/ptx.py --check --every 4  # the same for every fourth kernel
    python scripts/ptx.py --planted        # proves the checks: every planted defect must be found
    python scripts/ptx.py --compiler mlir  # numba-cuda's successor: tells what it cannot compile, exit status 0

Kernels are those of the programs around each registered unit of nbdl, and of whole nets at several batch sizes, lowered
for GPU-sized tiles and compiled for each of `TARGETS`. Of each:

- no float64 and no local memory in the PTX; no spills and no stack after ptxas; no call that was not inlined;
- no float atomics: their order, and so the result's bits, would be chance;
- no float32 arithmetic without `.ftz`: denormals count as zero, as on the CPU;
- barriers: none of the text's is lost, and there are as many as in the table (compilers unroll loops, and barriers with
  them), so that one that is taken out of the text shows too;
- registers up to `MOST_REGISTERS` of its family, and as in the table within a tolerance; parameters up to 4 KB.

Kernels of elementwise operations alone, in which no thread waits for another, have no line in the table: for them the
rules are enough, and a new activation or loss of scalar functions leaves the table as it is.

It runs from a checkout, nbdl need not be installed. Needs numba-cuda, libnvvm, libnvrtc and ptxas: all by
`pip install 'nbdl[ptx]'`, where ptxas may also be on the PATH.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu import checkout

if TYPE_CHECKING:
    from nbdl.engine.cuda.compiler import Ptx
    from nbdl.engine.cuda.kernel_text import KernelText

TARGETS = ((8, 0), (9, 0))
TABLE = Path(__file__).parent / "gpu" / "ptx.md"
WORKERS = 2
MOST_REGISTERS = {
    "rows": 64, "columns": 64, "product": 168, "kernel": 96, "check": 32, "open": 32, "close": 32,
}  # fmt: skip
"""By the first word of a kernel's title."""
TOLERANCE = 4, 0.1  # registers, or share of them: what another patch release of the compiler may change
MOST_PARAMETER_BYTES = 4096
SIZES = {"u8": 1, "u32": 4, "s32": 4, "b32": 4, "f32": 4, "u64": 8, "b64": 8}


@dataclass(frozen=True)
class Made:
    """A kernel compiled for one target, and what ptxas says of it.

    Attributes:
        key: of the table's row: what the kernel computes, and for which program it was made first.
        error: of the compiler, or an empty string.
    """

    key: tuple[str, str]
    kernel: KernelText
    target: tuple[int, int]
    ptx: str = ""
    registers: int = 0
    shared: int = 0
    spilled: int = 0
    stack: int = 0
    error: str = ""

    @property
    def barriers(self) -> int:
        """Barriers in the PTX."""
        return len(re.findall(r"\b(?:bar|barrier)\.(?:cta\.)?sync\b", self.ptx))

    @property
    def elementwise(self) -> bool:
        """Whether each thread works for itself, by the kernel's title and text."""
        return self.kernel.title.startswith("rows ") and not re.search(r"cuda\.(syncthreads|shared)", self.kernel.text)


@dataclass(frozen=True)
class Row:
    """What the table keeps of a kernel."""

    registers: tuple[int, ...]
    shared: int
    barriers: int


Keys = tuple[str, str]


# -- the kernels ------------------------------------------------------------------------------------------


def kernels() -> dict[Keys, KernelText]:
    """Every kernel once, by its title and the first program that has it."""
    found: dict[Keys, KernelText] = {}
    known: set[tuple[Any, ...]] = set()
    for where, kernel in (*_of_units(), *_of_nets(), *_of_steps()):
        identity = kernel.text, kernel.parameters, kernel.threads
        key = kernel.title, where
        if identity not in known:
            known.add(identity)
            number = 1
            while key in found:  # another kernel of this program with the same title
                number += 1
                key = kernel.title, f"{where} ({number})"
            found[key] = kernel
    return found


def _of_units() -> Iterator[tuple[str, KernelText]]:
    from nbdl.testing.subject import CLASS_KINDS, subjects
    from nbdl.testing.suite import entries
    from nbdl.testing.units import LARGE, probes

    for entry in sorted(entries("nbdl", CLASS_KINDS), key=lambda entry: (entry.kind, entry.name)):
        for subject in subjects(entry):
            for probe in probes(subject, *LARGE):
                where = f"{entry.kind} {subject} {probe.title}"
                yield from _lowered(where, probe.program, probe.rows, probe.store.data.size)


def _of_nets() -> Iterator[tuple[str, KernelText]]:
    from nbdl.model.owner import job_of
    from nbdl.network.record import record

    for name, model, batches in nets():
        for rows in batches:
            for what in ("train", "predict"):
                job = job_of(model)
                program = record(job.network, job.setup, what)
                yield from _lowered(f"{name} {what}, {rows} rows", program, rows, model.store.trainable_size)


def nets() -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """Nets whose products take every tile, with their batch sizes."""
    from nbdl import Sequential
    from nbdl.layers import Dense, Dropout

    lecture = Sequential([Dense(500, "sigmoid", input_dim=784), Dense(500, "sigmoid"), Dense(10, "softmax")])
    lecture.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    yield "lecture net", lecture, (100, 1024, 8192)
    wide = Sequential([Dense(1024, "relu", input_dim=784), Dropout(0.5), Dense(1024, "relu"), Dense(10, "softmax")])
    wide.compile(loss="sparse_categorical_crossentropy", optimizer="rmsprop")
    yield "dropout net", wide, (100, 8192)
    curve = Sequential([Dense(64, "tanh", input_dim=1), Dense(64, "tanh"), Dense(1)])
    curve.compile(loss="mse", optimizer="sgd")
    yield "regression net", curve, (32, 4096)


def _lowered(where: str, program: Any, rows: int, gradient_size: int) -> Iterator[tuple[str, KernelText]]:
    from nbdl.engine.cuda.lowering import Lowering
    from nbdl.engine.cuda.text import GPU

    lowering = Lowering(program, rows, ["float32"] * len(program.inputs), gradient_size, GPU)
    for launch in lowering.launches:
        if launch.kernel is not None:
            yield where, launch.kernel


def _of_steps() -> Iterator[tuple[str, KernelText]]:
    from nbdl.engine.cuda import step_text as steps
    from nbdl.engine.cuda.kernel_text import KernelText
    from nbdl.engine.cuda.text import GPU

    threads = GPU.elementwise
    yield "every graph", KernelText("open", steps.opening_text(threads), steps.OPENING_PARAMETERS, threads)
    yield "every graph", KernelText("close", steps.closing_text(threads), steps.CLOSING_PARAMETERS, threads)


# -- compiling --------------------------------------------------------------------------------------------


MISSING = "{} is not installed: pip install '{}'"


def missing(compiler: str | None = None) -> str:
    """What there must be and is not, in a line, or an empty string."""
    from nbdl.engine.cuda.availability import compiler_problem, simulated

    if simulated():
        return "NUMBA_ENABLE_CUDASIM is set: the simulator has no compiler; unset it"
    package, extra = ("numba-cuda-mlir",) * 2 if compiler == "mlir" else ("numba-cuda", "nbdl[ptx]")
    if find_spec(package.replace("-", "_")) is None:
        return MISSING.format(package, extra)
    if compiler is None and (problem := compiler_problem()):
        return problem
    return "" if ptxas() else MISSING.format("ptxas", "nbdl[ptx]")


def ptxas() -> str | None:
    """The assembler, of the PATH or of the wheel, if there is one."""
    wheel = next((path for folder in sys.path for path in Path(folder).glob("nvidia/cu1?/bin/ptxas")), None)
    return shutil.which("ptxas") or (str(wheel) if wheel else None)


def make(key: Keys, kernel: KernelText, target: tuple[int, int], backend: str | None = None) -> Made:
    """Compile and assemble one kernel."""
    from nbdl.engine.cuda.compiler import compile_ptx
    from nbdl.errors import NbdlError

    try:
        ptx = compile_ptx(kernel, target, backend)
    except NbdlError as error:
        return Made(key, kernel, target, error=" ".join(str(error).split()))
    return assembled(key, kernel, target, ptx)


def assembled(key: Keys, kernel: KernelText, target: tuple[int, int], ptx: Ptx) -> Made:
    """What ptxas says of PTX."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx.text)
        command = [str(ptxas()), f"-arch=sm_{target[0]}{target[1]}", "-v", "kernel.ptx", "-o", "kernel.cubin"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode:
        return Made(key, kernel, target, ptx.text, error=" ".join(said.split()))

    def figure(expression: str) -> int:
        return sum(map(int, re.findall(expression, said)))

    return Made(
        key,
        kernel,
        target,
        ptx.text,
        registers=figure(r"Used (\d+) registers"),
        shared=figure(r"(\d+) bytes smem"),
        spilled=figure(r"(\d+) bytes spill"),
        stack=figure(r"(\d+) bytes stack frame"),
    )


def make_all(found: dict[Keys, KernelText], backend: str | None = None) -> list[Made]:
    """All kernels for all targets, in two processes; by another compiler for the last one alone."""
    targets = TARGETS[-1:] if backend else TARGETS
    jobs = [(key, kernel, target, backend) for key, kernel in found.items() for target in targets]
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        return list(pool.map(make, *zip(*jobs, strict=True), chunksize=8))


# -- checks -----------------------------------------------------------------------------------------------


def faults(made: Made, row: Row | None) -> Iterator[str]:
    """What is wrong with a compiled kernel, and with it as compared with the table's row."""
    if made.error:
        yield made.error
        return
    for name, expression in FORBIDDEN.items():
        if found := re.search(expression, made.ptx, re.MULTILINE):
            yield f"{name}: {found[0].strip()}"
    if made.spilled or made.stack:
        yield f"{made.spilled} bytes are spilled, {made.stack} bytes of stack"
    cap = MOST_REGISTERS.get(made.kernel.title.split()[0], min(MOST_REGISTERS.values()))
    if made.registers > cap:
        yield f"{made.registers} registers, at most {cap} are allowed"
    said = made.kernel.text.count("cuda.syncthreads()")
    if made.barriers < said:
        yield f"{made.barriers} barriers, {said} in the text"
    if made.elementwise and (made.barriers or made.shared):
        yield f"{made.barriers} barriers and {made.shared} shared bytes in a kernel of elementwise operations"
    if (size := parameter_bytes(made.ptx)) > MOST_PARAMETER_BYTES:
        yield f"{size} bytes of parameters, at most {MOST_PARAMETER_BYTES} are allowed"
    if row is not None:
        yield from differences(made, row)


ARITHMETIC = "abs|add|cos|div|ex2|fma|lg2|mad|max|min|mul|neg|rcp|rsqrt|set|setp|sin|sqrt|sub|tanh"
FORBIDDEN = {
    "float64": r"^.*\.f64.*$",
    "local memory": r"^.*\.local\b.*$",
    "a float atomic": r"^.*\b(?:atom|red)\.\S*\.f(?:16|32|64).*$",
    "a call that is not inlined": r"^\s*(?:@!?%p\d+\s+)?call\b.*$",
    "arithmetic that keeps denormals": rf"^\s*(?:@!?%p\d+\s+)?(?:{ARITHMETIC})\.(?!\S*\bftz\b)\S*\bf32\b.*$",
}


def parameter_bytes(ptx: str) -> int:
    """Bytes of the entry point's parameters."""
    return sum(SIZES[kind] for kind in re.findall(r"^\s*\.param \.(\w+) run_param_", ptx, re.MULTILINE))


def differences(made: Made, row: Row) -> Iterator[str]:
    """What the table says otherwise."""
    registers = row.registers[TARGETS.index(made.target)]
    if abs(made.registers - registers) > max(TOLERANCE[0], TOLERANCE[1] * registers):
        yield f"{made.registers} registers, {registers} in the table"
    if made.barriers != row.barriers:
        yield f"{made.barriers} barriers, {row.barriers} in the table"


def report(made: Iterable[Made], rows: dict[Keys, Row]) -> int:
    """Print all faults; how many kernels have some."""
    wrong = 0
    for one in made:
        found = list(faults(one, rows.get(one.key)))
        wrong += bool(found)
        for fault in found:
            print(f"{one.key[0]} ({one.key[1]}), sm_{one.target[0]}{one.target[1]}: {fault}")
    return wrong


# -- the table --------------------------------------------------------------------------------------------


def versions() -> str:
    """Of what made the table."""
    said = subprocess.run([str(ptxas()), "--version"], capture_output=True, text=True, check=True).stdout
    assembler = re.search(r"V(\d+\.\d+\.\d+)", said)
    from nbdl.engine.cuda.availability import compiler_version

    nvvm = ".".join(map(str, compiler_version() or ("?",)))
    names = [f"{name} {importlib.metadata.version(name)}" for name in ("numba-cuda", "numba")]
    return ", ".join([*names, f"libnvvm {nvvm}", f"ptxas {assembler[1] if assembler else '?'}"])


def rows_of(made: Iterable[Made]) -> dict[Keys, Row]:
    """The table's rows."""
    by_key: dict[Keys, list[Made]] = {}
    for one in made:
        if not one.elementwise:
            by_key.setdefault(one.key, []).append(one)
    return {
        key: Row(tuple(one.registers for one in ones), ones[0].shared, ones[0].barriers) for key, ones in by_key.items()
    }


def written(made: list[Made]) -> str:
    """The table as Markdown."""
    rows, rest = rows_of(made), [one for one in made if one.elementwise]
    targets = [f"sm_{major}{minor}" for major, minor in TARGETS]
    head = ["kernel", "first made for", *(f"registers {target}" for target in targets), "shared bytes", "barriers"]
    lines = [
        "# Kernels compiled to PTX",
        "",
        f"Written by `scripts/ptx.py`, with {versions()}.",
        "No kernel spills, or uses local memory, float64 or float atomics.",
        f"{len({one.key for one in rest})} kernels of elementwise operations alone have no line: at most "
        f"{max((one.registers for one in rest), default=0)} registers, no shared memory, no barriers.",
        "",
        f"| {' | '.join(head)} |",
        f"|{' --- |' * 2}{' ---: |' * (len(head) - 2)}",
    ]
    for (title, where), row in sorted(rows.items()):
        lines.append(f"| {title} | {where} | {' | '.join(map(str, (*row.registers, row.shared, row.barriers)))} |")
    return "\n".join([*lines, ""])


def read(text: str) -> dict[Keys, Row]:
    """The rows of a written table."""
    rows: dict[Keys, Row] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 + len(TARGETS) and cells[-1].isdigit():
            title, where, *numbers = cells
            *registers, shared, barriers = map(int, numbers)
            rows[title, where] = Row(tuple(registers), shared, barriers)
    return rows


def check(made: list[Made], all_keys: Iterable[Keys]) -> int:
    """Compare the kernels made with the table, and the table's keys with all keys; how many kernels are at fault."""
    rows = read(TABLE.read_text("utf-8"))
    keys = {one.key for one in made if not one.elementwise}
    absent = [*(f"not in the table: {key}" for key in keys - rows.keys())]
    absent += [f"only in the table: {key}" for key in rows.keys() - set(all_keys)]
    print(*sorted(absent), sep="\n", end="\n" if absent else "")
    wrong = report(made, rows) + len(absent)
    if wrong:
        print("If that is as it should be, write the table anew: python scripts/ptx.py")
    return wrong


# -- planted defects --------------------------------------------------------------------------------------


def planted() -> int:
    """Plant defects in kernels that are right; how many are not found."""
    found = kernels()
    product = next(key for key in found if key[0].startswith("product a b 128×128"))
    sigmoid = next(key for key in found if key[0].startswith("rows") and "sigmoid" in key[0])
    missed = 0
    for name, wanted, key, change in DEFECTS:
        kernel = found[product if key == "product" else sigmoid]
        target = TARGETS[-1]
        clean = make((name, "planted"), kernel, target)
        row = rows_of([clean] * len(TARGETS)).get(clean.key)
        if said := list(faults(clean, row)):
            raise SystemExit(f"{kernel.title} is at fault before anything is planted: {said}")
        said = list(faults(change(clean), row))
        caught = any(wanted in one for one in said)
        missed += not caught
        print(f"{'found ' if caught else 'MISSED'}  {name}: {'; '.join(said) or 'nothing is said'}")
    return missed


def _in_text(old: str, new: str, **changes: Any) -> Callable[[Made], Made]:
    """Plant into a kernel's text, once, and compile it."""

    def change(clean: Made) -> Made:
        found = re.search(old, clean.kernel.text)
        assert found, f"{clean.kernel.title} has no {old}"
        text = clean.kernel.text[: found.start()] + found.expand(new) + clean.kernel.text[found.end() :]
        return make(clean.key, replace(clean.kernel, text=text, **changes), clean.target)

    return change


def _in_ptx(old: str, new: str) -> Callable[[Made], Made]:
    """Plant into the compiler's result, once."""

    def change(clean: Made) -> Made:
        from nbdl.engine.cuda.compiler import Ptx

        text, count = re.subn(old, new, clean.ptx, count=1)
        assert count, f"the PTX of {clean.kernel.title} has no {old}"
        return assembled(clean.key, clean.kernel, clean.target, Ptx("run", text))

    return change


DEFECTS: tuple[tuple[str, str, str, Callable[[Made], Made]], ...] = (
    ("a float64 constant", "float64", "sigmoid", _in_text(r"(K_\w+) = float32\(.*\)", r"\1 = 0.1")),
    ("a barrier taken out of the text", "in the table", "product", _in_text(r"cuda\.syncthreads\(\)", "pass")),
    ("a barrier that the compiler loses", "in the text", "product", _in_ptx(r"\bbar\.sync\s+\d+;", "")),
    ("a barrier that nothing needs", "of elementwise operations", "sigmoid", _in_ptx(r"\bret;", "bar.sync 0; ret;")),
    ("a spill", "spilled", "product", _in_text(r"$", "", threads=1024)),
    ("an array in local memory", "local memory", "sigmoid", lambda clean: _hand_written(clean, LOCAL)),
    ("a float atomic", "float atomic", "sigmoid", lambda clean: _hand_written(clean, ATOMIC)),
    ("arithmetic that keeps denormals", "keeps denormals", "sigmoid", _in_ptx(r"\.ftz\.f32", ".f32")),
    ("too many registers", "at most", "product", lambda clean: replace(clean, registers=255)),
    ("too many parameters", "bytes of parameters", "sigmoid", lambda clean: _many_parameters(clean)),
)
"""What is planted, what must be said, into which kernel, and how."""

LOCAL = """
def run(out, n):
    a = cuda.local.array(64, float32)
    for i in range(64):
        a[i] = out[i]
    out[n] = a[n]
"""
ATOMIC = """
def run(out, n):
    total = cuda.shared.array(1, float32)
    cuda.atomic.add(total, 0, out[n])
    out[n] = total[0]
"""


def _hand_written(clean: Made, text: str) -> Made:
    from nbdl.engine.cuda.kernel_text import KernelText

    kernel = KernelText("rows planted", text, ("float32*", "int32"), 64)
    return make(clean.key, kernel, clean.target)


def _many_parameters(clean: Made) -> Made:
    from nbdl.engine.cuda.kernel_text import KernelText

    count = MOST_PARAMETER_BYTES // SIZES["u64"] + 1
    names = ", ".join(f"p{i}" for i in range(count))
    text = f"def run({names}):\n    p0[0] = p{count - 1}[0]\n"
    return make(clean.key, KernelText("rows planted", text, ("float32*",) * count, 64), clean.target)


# -- the command ------------------------------------------------------------------------------------------


def main() -> int:
    """Exit status 1 if a kernel is at fault or a planted defect is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="compare with the table instead of writing it")
    what.add_argument("--planted", action="store_true", help="plant defects, each of which must be found")
    what.add_argument("--compiler", choices=("mlir",), help="try another compiler; what it cannot do is no error")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th kernel; writes no table")
    arguments = parser.parse_args()
    if arguments.every < 1 or (arguments.every > 1 and not (arguments.check or arguments.compiler)):
        parser.error("--every takes an integer from 1 on, and goes with --check or --compiler")
    with tempfile.TemporaryDirectory() as folder:
        checkout.use(Path(folder))
        if why := missing(arguments.compiler):
            raise SystemExit(why)
        return run(arguments)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for; the exit status."""
    begin = time.perf_counter()
    if arguments.planted:
        return bool(planted())
    found = kernels()
    tried = dict(list(found.items())[:: arguments.every])
    made = make_all(tried, arguments.compiler)
    print(f"{len(tried)} of {len(found)} kernels, {len(made)} compilations in {time.perf_counter() - begin:.0f} s")
    if arguments.compiler:
        print(f"{report(made, {})} of {len(made)} are at fault with {arguments.compiler}")
        return 0
    if arguments.check:
        return bool(check(made, found))
    wrong = report(made, {})
    if not wrong:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(written(made), encoding="utf-8")
        print(f"{TABLE} written")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
