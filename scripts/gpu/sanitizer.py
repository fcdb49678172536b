"""compute-sanitizer over a small training run: memory errors, races, reads of what nobody wrote, barriers."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys

from gpu.context import Context

TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
SUMMARY = re.compile(r"(?:ERROR|RACECHECK|INITCHECK|SYNCCHECK) SUMMARY: *(.*)")
FINDING = re.compile(r"=+ (Invalid|Error|Race|Uninit|Barrier)")
FOUND = 97
RUN = """
from gpu import nets
sizes = nets.Sizes((70, 50, 33, 10), 137, 25)
x, y = nets.data(sizes)
for make in (nets.lecture, nets.dropout):
    model = make(sizes, "cuda")
    model.fit(x, y, batch_size=sizes.batch, epochs=2, verbose=0, validation_data=(x, y))
    model.predict(x)
print("the run is over")
"""


def sanitizer(context: Context) -> None:
    """Each tool with nbdl's own kernels, memcheck with cuBLAS too."""
    program = found()
    if not program:
        context.keep(skipped="compute-sanitizer is not on the PATH, nor in the toolkit")
        return
    rows: dict[str, str] = {}
    for tool, cublas in [*((tool, "0") for tool in TOOLS), ("memcheck", "1")]:
        title = tool + (" with cuBLAS" if cublas == "1" else "")
        if context.left() < 10.0:
            rows[title] = "no time was left"
            continue
        wrong, said = check(program, tool, cublas, context.left() - 4.0)
        rows[title] = said
        if wrong:
            context.fail(f"{title}: {said}")
        context.keep(tools=rows)
    context.keep(tools=rows)
    unusable = [said for said in rows.values() if said.startswith("cannot be used")]
    if len(unusable) == len(rows):
        context.keep(skipped=unusable[0])


def found() -> str:
    """The program, or ""."""
    here = shutil.which("compute-sanitizer")
    beside = "/usr/local/cuda/bin/compute-sanitizer"
    return here or (beside if os.access(beside, os.X_OK) else "")


def check(program: str, tool: str, cublas: str, seconds: float) -> tuple[bool, str]:
    """Whether a tool found something, and what it said."""
    command = [
        program, "--tool", tool, "--error-exitcode", str(FOUND), "--print-limit", "5", sys.executable, "-c", RUN,
    ]  # fmt: skip
    child = subprocess.Popen(
        command, env={**os.environ, "NBDL_CUBLAS": cublas}, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False, f"took more than {seconds:.0f} s"
    finally:
        _end(child)
    return judged(child.returncode, output)


def _end(child: subprocess.Popen[str]) -> None:
    """End the tool and the program that it watches."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def judged(status: int, output: str) -> tuple[bool, str]:
    """Whether a tool's output is a finding; one that cannot run on the machine has found nothing."""
    print(output[-4000:])
    summary = SUMMARY.search(output)
    text = summary.group(1).strip() if summary else ""
    if "Device not supported" in output or "Unable to find" in output:
        line = next(line for line in output.splitlines() if "not supported" in line or "Unable to find" in line)
        return False, f"cannot be used here: {line.strip('= ')}"
    if status == 0 and "the run is over" in output:
        return False, text or "nothing found"
    if status == FOUND or (text and not text.startswith("0 ")):
        first = next((line for line in output.splitlines() if FINDING.search(line)), "")
        return True, f"{text} {first.strip('= ')}".strip()
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "")
    return True, f"status {status}: {last}"
