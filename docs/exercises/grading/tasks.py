"""Every exercise by the beginning of its file's name."""

from grading import bugs, layers, losses, own
from grading.checking import Task

TASKS: dict[str, Task] = {
    "01": losses.CONTENT, "02": losses.GRAM, "03": losses.STYLE, "04": losses.TOTAL,
    "05": layers.RELU, "06": layers.POOLING, "07": layers.CONVOLUTION,
    "08": losses.VARIATION, "09": layers.THROUGH, "10": losses.TRANSPORT, "11": own.OWN,
    "12a": bugs.COLOUR, "12b": bugs.LATE, "12c": bugs.SIZE, "12d": bugs.FRAME, "12e": bugs.MEMORY,
}
