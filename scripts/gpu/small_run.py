"""A small training run for compute-sanitizer, whose weights must be the CPU's: python -m gpu.small_run own|cublas"""

from __future__ import annotations

import sys

from gpu import agreement, library, nets
from gpu.sanitizer import CUBLAS, NO_CUBLAS, OVER
from nbdl.engine.cuda import open_runtime

SIZES = nets.Sizes((70, 50, 33, 10), 129, 4)  # 33 steps an epoch, so that there are whole graphs; a short last batch
SIMULATED = nets.TINY


def main() -> None:
    """Both nets: train, evaluate, predict."""
    runtime, cublas = open_runtime(0), sys.argv[1] == CUBLAS
    if cublas and not library.there(runtime):
        print(NO_CUBLAS)
        return
    sizes = SIMULATED if runtime.simulated else SIZES
    x, y = nets.data(sizes)
    for make in (nets.lecture, nets.dropout):
        cpu, there, seen = make(sizes, "cpu"), make(sizes, "cuda"), library.Seen()
        start = cpu.store.data.copy()
        cpu.fit(x, y, batch_size=sizes.batch, epochs=2, verbose=0)
        with library.products_by(runtime, cublas):
            there.fit(x, y, batch_size=sizes.batch, epochs=2, verbose=0, validation_data=(x, y), callbacks=[seen])
            there.predict(x)
        seen.check(cublas)
        agreement.same_weights(start, cpu.store.data, there.store.data, allowed=10 * agreement.WEIGHTS)
    print(OVER)


if __name__ == "__main__":
    main()
