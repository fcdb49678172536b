"""compute-sanitizer over a small training run: memory errors, races, reads of what nobody wrote, barriers."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass

from gpu.context import Context

OWN, CUBLAS = "own", "cublas"  # products
NEEDED = (("memcheck", OWN), ("racecheck", OWN))
FURTHER = (("memcheck", CUBLAS), ("initcheck", OWN), ("synccheck", OWN))
SUMMARY = re.compile(r"(?:ERROR|RACECHECK|INITCHECK|SYNCCHECK) SUMMARY: *(.*)")
FINDING = re.compile(r"=+ (Invalid|Error|Race|Uninit|Barrier)")
FOUND = 97
OVER, NO_CUBLAS = "the run is over", "cuBLAS was not found"  # what the run says at its end
PLAIN_SECONDS = 60.0  # with all compiling
LEAST_SECONDS = 10.0


@dataclass(frozen=True)
class Verdict:
    """What came of a run: "clean", "found" or "not finished", and what was said."""

    state: str
    said: str


def sanitizer(context: Context) -> None:
    """The run without a tool, which fills the cache of PTX; the tools that must finish; the others."""
    program = found()
    if not program:
        context.keep(not_run="compute-sanitizer is not on the PATH, nor in the toolkit")
        return
    rows: dict[str, str] = {}
    for products in (OWN, CUBLAS):
        plain = check([], products, min(PLAIN_SECONDS, context.left() / 2.0))
        rows[f"no tool, {products} products"] = plain.said
        context.keep(tools=rows)
        if plain.state == "found":
            context.fail(f"without a tool, {products} products: {plain.said}")
            return
    for number, (tool, products) in enumerate(NEEDED + FURTHER):
        needed = number < len(NEEDED)
        share = context.left() / (len(NEEDED) - number) if needed else context.left()
        verdict = watched(program, tool, products, share - 3.0)
        title = f"{tool}, {products} products"
        rows[title] = verdict.said
        context.keep(tools=rows)
        if verdict.state == "found" or (needed and verdict.state != "clean"):
            context.fail(f"{title}: {verdict.said}")
        elif verdict.state != "clean":
            context.leave_unchecked(f"{title}: {verdict.said}")


def watched(program: str, tool: str, products: str, seconds: float) -> Verdict:
    """A run that a tool watches."""
    if seconds < LEAST_SECONDS:
        return Verdict("not finished", "no time was left")
    command = [program, "--tool", tool, "--error-exitcode", str(FOUND), "--print-limit", "5"]
    return check(command, products, seconds)


def found() -> str:
    """The program, or ""."""
    here = shutil.which("compute-sanitizer")
    beside = "/usr/local/cuda/bin/compute-sanitizer"
    return here or (beside if os.access(beside, os.X_OK) else "")


def check(tool: list[str], products: str, seconds: float) -> Verdict:
    """The small run, under a tool or, with an empty command, under none."""
    child = subprocess.Popen(
        [*tool, sys.executable, "-m", "gpu.small_run", products],
        env={**os.environ, "NBDL_CUBLAS": "1" if products == CUBLAS else "0"}, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return Verdict("not finished" if tool else "found", f"took more than {seconds:.0f} s")
    finally:
        _end(child)
    print(output[-4000:])
    return judged(child.returncode, output) if tool else judged_plain(child.returncode, output)


def _end(child: subprocess.Popen[str]) -> None:
    """End the tool and the program that it watches."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def judged_plain(status: int, output: str) -> Verdict:
    """What the run says by itself; anything but its end is a finding."""
    if status == 0 and OVER in output:
        return Verdict("clean", "the CPU's weights")
    if status == 0 and NO_CUBLAS in output:
        return Verdict("not finished", NO_CUBLAS)
    return Verdict("found", f"status {status}: {_last(output)}")


def judged(status: int, output: str) -> Verdict:
    """What a tool says: it is clean only if the run came to its end and the tool to its summary."""
    summary = SUMMARY.search(output)
    text = summary.group(1).strip() if summary else ""
    if "Device not supported" in output or "Unable to find" in output:
        line = next(line for line in output.splitlines() if "not supported" in line or "Unable to find" in line)
        return Verdict("not finished", f"cannot be used here: {line.strip('= ')}")
    if status == FOUND or (text and not text.startswith("0 ")):
        first = next((line for line in output.splitlines() if FINDING.search(line)), "")
        return Verdict("found", f"{text} {first.strip('= ')}".strip())
    if NO_CUBLAS in output:
        return Verdict("not finished", NO_CUBLAS)
    if status == 0 and text and OVER in output:
        return Verdict("clean", text)
    return Verdict("not finished", f"status {status}: {_last(output)}")


def _last(output: str) -> str:
    return next((line for line in reversed(output.splitlines()) if line.strip()), "it said nothing")
