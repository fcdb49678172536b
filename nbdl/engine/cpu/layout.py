"""The frame: the int64 words that a run hands to every kernel, and how a descriptor names an operand.

An operand is (slot, byte offset): the frame's word `slot` holds the address of a base. The frame belongs to one
caller, so many threads can run one schedule.
"""

from __future__ import annotations

from nbdl.program.limits import DESCRIPTOR_WORDS, OPERANDS_START
from nbdl.program.limits import INPUTS as INPUTS
from nbdl.program.limits import OUTPUTS as OUTPUTS

STORE, SLOTS, WORK, CONSTANTS = 0, 1, 2, 3  # addresses that stay for a run
SCALARS, LOG, ORDER = 4, 5, 6  # addresses of this step's rows of the tables
ROWS, STEP, SEED_LOW, SEED_HIGH = 7, 8, 9, 10  # numbers
THREADS = 11  # how many the parallel driver asks for
INPUT_COUNT = 12  # of the inputs, whose words follow
OUTPUT, OUTPUT_START, OUTPUT_STRIDE = 13, 14, 15  # where this step's predictions go
SOURCE = 16  # addresses of the data, one for each input
BATCH = SOURCE + INPUTS  # addresses of this step's rows of them: gathered in the work area, or the data itself
STRIDE = BATCH + INPUTS  # bytes from row to row of the data where it is used itself, else 0
FRAME_WORDS = STRIDE + INPUTS

# Words of a task: operations [FIRST, END); row part of PARTS (0: all rows); columns (C1 = 0: all); rows of a block.
TASK_FIRST, TASK_END, TASK_PART, TASK_PARTS, TASK_C0, TASK_C1, TASK_BLOCK = range(7)
TASK_WORDS = 8

# Words of a stage: tasks [FIRST, END), and whether they are worth a parallel region.
STAGE_FIRST, STAGE_END, STAGE_PARALLEL = range(3)

# First words of a descriptor; operand pairs and what else a kernel reads follow.
OP_KERNEL, OP_HEIGHT, OP_WIDTH = range(3)
OP_OPERANDS = OPERANDS_START
OP_WORDS = DESCRIPTOR_WORDS

# Words of a report.
REPORT_STEPS, REPORT_STATUS = range(2)
