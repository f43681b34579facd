"""How large everything is: whole, quick, or tiny for a rehearsal on the host."""

from dataclasses import dataclass, replace

from peers.cases import Shape

__all__ = ["MANY", "NARROW", "REHEARSAL", "WHOLE", "WIDE", "Plan", "quick"]

NARROW = Shape.parse("784-50-100-10:sigmoid")
WIDE = Shape.parse("784-4096-4096-10:relu")
# So many rows keep a whole card busy: the bars are for them.
MANY = 65_536


@dataclass(frozen=True)
class Plan:
    """Sizes and repeats.

    Attributes
    ----------
    narrow, wide : Shape
        The networks.
    rounds : int
        How often each thing is timed.
    turn : float
        Seconds of calls that make one time.
    starts : int
        How many pairs of fresh processes are started.
    buffer_bytes, n_buffers : int
        What the limits of copying are measured with; together far more than caches hold.
    product : int
        Rows and columns of the matrices that are multiplied.
    bound_rows, label_rows : int
        Rows that are compared with the derived bounds, and whose labels are compared.
    rows, block_rows, torch_rows : int
        Rows from end to end; how many of them are different; and at most so many for torch.
    chunks : tuple of int
        Rows at a time that are tried for torch.
    resident_rows : tuple of int
        Rows that lie on the device, the most important first.
    """

    narrow: Shape = NARROW
    wide: Shape = WIDE
    rounds: int = 7
    turn: float = 0.05
    starts: int = 3
    buffer_bytes: int = 2**28
    n_buffers: int = 4
    product: int = 8192
    bound_rows: int = 2048
    label_rows: int = 150_001
    rows: int = 16_000_000
    block_rows: int = 2**18
    torch_rows: int = 2**22
    chunks: tuple[int, ...] = (2**13, 2**15, 2**17, 2**19, 2**21)
    resident_rows: tuple[int, ...] = (MANY, 1, 1024, 32)


WHOLE = Plan()
REHEARSAL = Plan(
    wide=Shape.parse("784-64-64-10:relu"),
    rounds=2,
    turn=0.002,
    starts=1,
    buffer_bytes=2**20,
    n_buffers=2,
    product=256,
    bound_rows=200,
    label_rows=5001,
    rows=20_000,
    block_rows=2**12,
    torch_rows=2**13,
    chunks=(2**10, 2**12),
    resident_rows=(256, 1),
)


def quick(plan: Plan, /) -> Plan:
    """Return a smaller plan, with few rounds."""
    return replace(
        plan,
        rounds=min(plan.rounds, 2),
        turn=min(plan.turn, 0.01),
        starts=1,
        buffer_bytes=min(plan.buffer_bytes, 2**26),
        product=min(plan.product, 4096),
        label_rows=min(plan.label_rows, 70_001),
        rows=min(plan.rows, 2**20),
        block_rows=min(plan.block_rows, 2**16),
        torch_rows=min(plan.torch_rows, 2**19),
        chunks=plan.chunks[1:3] if len(plan.chunks) > 2 else plan.chunks,
        resident_rows=plan.resident_rows[:2],
    )
