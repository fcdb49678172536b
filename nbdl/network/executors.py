"""The programs of a job, and the executors and nets that run them, each made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from nbdl.engine import select
from nbdl.engine.cpu.threads import check_environment
from nbdl.engine.executor import Executor, checked, host_backend
from nbdl.engine.store import Floats
from nbdl.errors import ConfigError
from nbdl.network.programs import ExecutorKey, ProgramKey
from nbdl.network.record import record
from nbdl.network.setup import TrainingState
from nbdl.network.update import new_slots

if TYPE_CHECKING:
    from nbdl.engine.nets.net import Net
    from nbdl.engine.nets.plain import Runner
    from nbdl.network.job import Job
    from nbdl.program.operation import Program

WORK_FLOATS = 1 << 21  # evaluation and prediction take as many rows at once as keep the work area near this
GPU_WORK_FLOATS = 1 << 26  # a GPU has no such cache, and is idle with few rows


def program_of(job: Job, mode: str) -> Program:
    """The program of a network, recorded once; all its executors share it."""
    key = _key(job, mode)
    found = job.programs.programs.get(key)
    if found is None:
        found = job.programs.programs[key] = record(job.network, job.setup, mode)
    return found


def _key(job: Job, mode: str) -> ProgramKey:
    if mode not in ("train", "evaluate"):
        return ProgramKey(mode, None, None)
    network = job.network
    frozen = tuple(number for number, layer in enumerate(network.all_layers) if not layer.trainable)
    within = tuple(
        number
        for number, weight in enumerate(network.weights)
        if weight.within and not all(layer.trainable for layer in weight.within)
    )
    return ProgramKey(mode, (frozen, within), job.optimizer.rule() if mode == "train" else None)


def executor_of(
    job: Job,
    mode: str,
    max_rows: int,
    gathered: Sequence[str | None],
    slots: Floats | None = None,
    device: str | None = None,
) -> Executor:
    """The executor of a program, made once for each kind of batch on each device (by default the job's)."""
    key = ExecutorKey(
        _key(job, mode), max_rows, tuple(gathered), host_backend(), job.device if device is None else device,
        job.choice.precision, checked(), 0 if slots is None else slots.ctypes.data,
    )  # fmt: skip
    found = job.programs.executors.get(key)
    if found is None:
        check_environment()
        make = select.make_checked if key.checked else select.make
        program, store = program_of(job, mode), job.network.store
        found = make(program, store, max_rows, gathered, slots, key.device, key.precision)
        job.programs.keep(key, found)
    return found


def net_of(job: Job, derivatives: bool = False, run: Runner | None = None) -> Net:
    """The network for compiled code, made once.

    Args:
        run: what runs rows where there is no compiled code.
    """
    job.network.build()
    nets = job.programs.nets
    if derivatives not in nets:
        nets[derivatives] = _make_net(job, derivatives, run)
    return cast("Net", nets[derivatives])


def quick_net(job: Job) -> Net | None:
    """The net that predicts a few rows; None where it cannot, or where every result is to be looked at."""
    plain = host_backend() != "cpu" or checked() or program_of(job, "predict").draws is not None
    return None if plain else net_of(job)


def net_of_rows(job: Job) -> Net | Literal[False]:
    """The quick net where a row of inputs and one of outputs are vectors, found once."""
    network = job.network
    network.build()
    shapes = [*network.known_input_shapes(), *network.output_shapes]
    vectors = len(shapes) == 2 and all(len(shape) == 1 for shape in shapes)
    found: Net | Literal[False] = (quick_net(job) if vectors else None) or False
    job.programs.net_of_rows = found
    return found


def _make_net(job: Job, derivatives: bool, run: Runner | None) -> Any:
    program = program_of(job, "row" if len(job.network.input_names) > 1 else "predict")
    if program.draws is not None:
        raise ConfigError(f"layer {program.draws!r} draws random numbers when it predicts, which compiled code cannot")
    if host_backend() == "reference":
        from nbdl.engine.nets.plain import PlainNet

        assert run is not None
        return PlainNet(program, job.network.store, run, derivatives)
    check_environment()
    import nbdl.engine.nets.numba_type  # noqa: F401 - tells Numba of the type
    from nbdl.engine.nets.net import Net
    from nbdl.engine.nets.plans import Plans

    return Net(Plans(job.network.store, program, program_of(job, "derivative") if derivatives else None))


def rows_at_once(program: Program, rows: int, device: str = "cpu") -> int:
    """Rows per step of evaluation and prediction: a power of two that suits the device, not above what is needed."""
    floats, limit = (WORK_FLOATS, 1 << 12) if device == "cpu" else (GPU_WORK_FLOATS, 1 << 15)
    most = max(32, min(limit, floats // max(1, program.row_floats)))
    most = 1 << (most.bit_length() - 1)
    return min(most, max(1, 1 << max(0, rows - 1).bit_length()))


def training_state(job: Job) -> TrainingState:
    """The optimizer's slots and counters, made at the first fit.

    Raises:
        ConfigError: the optimizer was changed and needs other slots than it was compiled with.
    """
    optimizer = job.optimizer
    names, state = optimizer.all_slots(), job.state
    if state is None:
        state = job.state = TrainingState(new_slots(optimizer, names, job.network.store.trainable_size), names)
    if state.slot_names != names:
        raise ConfigError(
            f"the optimizer now keeps {', '.join(names) or 'nothing'} for each weight, and when the model was compiled "
            f"it was {', '.join(state.slot_names) or 'nothing'}: compile the model again"
        )
    return state
