"""Exit codes of the commands, as in ``xpnet --help``; that of a signal is of `Signals`."""

DONE, OUT_OF_BOUND, USAGE, DATA, WEIGHTS, DEVICE = range(6)
# As in sysexits.h, since Python's own code 1 would mean out of bound.
INTERNAL, OUT_OF_MEMORY = 70, 71
