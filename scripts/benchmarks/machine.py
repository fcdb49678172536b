"""What is known of the machine: its processor, its load, and what others used of it meanwhile."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float:
    """The load average of the last minute, 0 where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def processor() -> str:
    """The processor's name, with its widest vector instructions."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    lines = dict(line.partition(":")[::2] for line in text.splitlines() if ":" in line)
    lines = {name.strip(): value.strip() for name, value in lines.items()}
    flags = lines.get("flags", "").split()
    vectors = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else ""
    model = ", family {cpu family} model {model}".format(**lines) if "cpu family" in lines else ""
    return f"{lines.get('model name', platform.machine())}{model} {vectors}".strip()


def all_processors() -> tuple[float, float]:
    """Seconds that all processors together were busy, and that a hypervisor took, since the system started."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return 0.0, 0.0
    user, nice, system, _, _, irq, soft_irq, steal = (int(field) / _ticks() for field in fields[:8])
    return user + nice + system + irq + soft_irq, steal


def of_process(pid: int) -> float:
    """Processor seconds that a process has used, or 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _ticks()


def _ticks() -> float:
    return float(os.sysconf("SC_CLK_TCK"))


class Burners:
    """Processes that each burn a core, as somebody else's would; they sleep until they are wanted."""

    def __init__(self, count: int) -> None:
        self.processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
        self._signal("SIGSTOP")

    @contextmanager
    def burning(self) -> Iterator[None]:
        """They burn inside this block."""
        self._signal("SIGCONT")
        try:
            yield
        finally:
            self._signal("SIGSTOP")

    def close(self) -> None:
        """End them."""
        for process in self.processes:
            process.kill()
            process.wait()

    def _signal(self, name: str) -> None:
        for process in self.processes:
            process.send_signal(getattr(signal, name))
