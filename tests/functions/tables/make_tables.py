"""Program that writes the tables of true values for `tests/functions/test_tables.py`.

    python tests/functions/tables/make_tables.py [NAME ...]

Without names, the tables of all functions are written, one file per function. A line holds the
options, the dtype, the bits of x, the bits of the number nearest to the true value y, and the
remainder in ULP of y: y = nearest + rest * ULP. A rest of +0.000 or -0.000 was rounded, 0 is exact.
In the tables of functions along an axis a line is a row of numbers. Points are drawn by
pseudo-random generators with fixed seeds, so the files are the same on every machine, and change
only with this program.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import exact
from mpmath import mp, mpf
from rounding import FORMATS, from_bits, nearest, to_bits

N_POINTS = 120
HEADER = "options,dtype,x,nearest,rest\n"

# Number of rows of each length.
ROWS_OF_LENGTH = {2: 7, 3: 7, 7: 7, 12: 7, 40: 1, 101: 1}


def main() -> None:
    """Write the tables of the command line."""
    parser = argparse.ArgumentParser(description="Write the tables of true values.")
    known = [*exact.ELEMENTWISE, *exact.ROWS]
    parser.add_argument("names", metavar="NAME", nargs="*", help="a function (default: all)")
    names = parser.parse_args().names
    if unknown := set(names) - set(known):
        parser.error(f"unknown function: {', '.join(sorted(unknown))}")
    folder = Path(__file__).parent
    for name in names or known:
        (folder / f"{name}.csv").write_text("".join([HEADER, *lines(name)]), newline="\n")


def lines(name: str) -> Iterator[str]:
    """Yield the lines of a function's table."""
    for options in exact.ELEMENTWISE[name].options if name in exact.ELEMENTWISE else [{}]:
        for dtype in FORMATS:
            draw = Random(f"{name} {as_text(options)} {dtype}")
            rows = draw_rows(name, dtype, draw) if name in exact.ROWS else None
            for x in rows or [[x] for x in draw_points(name, options, dtype, draw)]:
                yield line(name, options, dtype, x)


def line(name: str, options: dict[str, Any], dtype: str, x: list[float]) -> str:
    """Return the line of one point, or of one row."""
    values = exact.row_values(name, x) if name in exact.ROWS else [exact.value(name, *x, **options)]
    rounded = [nearest(value, dtype) for value in values]
    cells = (
        as_text(options),
        dtype,
        " ".join(to_bits(number, dtype) for number in x),
        " ".join(to_bits(number, dtype) for number, _ in rounded),
        " ".join(f"{float(rest):+.3f}" if rest else "0" for _, rest in rounded),
    )
    return ",".join(cells) + "\n"


def as_text(options: dict[str, Any]) -> str:
    """Return options as a string such as threshold=0.5;value=-20.0."""
    return ";".join(f"{key}={option}" for key, option in options.items())


def as_number(number: float, dtype: str) -> float:
    """Return the finite number of the dtype nearest to a number."""
    largest = FORMATS[dtype].largest
    return nearest(mpf(min(max(number, -largest), largest)), dtype)[0]


def neighbour(number: float, steps: int, dtype: str) -> float:
    """Return the number that is some steps farther from 0 than a nonzero number of the dtype."""
    bits = to_bits(number, dtype)
    return from_bits(f"{int(bits, 16) + steps:0{len(bits)}x}", dtype)


def draw_points(name: str, options: dict[str, Any], dtype: str, draw: Random) -> list[float]:
    """Return `N_POINTS` numbers of the dtype, in ascending order."""
    form, definition = FORMATS[dtype], exact.ELEMENTWISE[name]
    edges = find_edges(lambda x: exact.value(name, x, **options), dtype)
    points = {0.0}
    for number in (form.largest, form.largest / 2, form.tiny, form.smallest):
        points |= {number, -number}
    points |= {as_number(form.tiny * draw.uniform(-1, 1), dtype) for _ in range(4)}
    for kink in definition.kinks:
        points |= {kink, neighbour(kink, -1, dtype), neighbour(kink, 1, dtype)}
        points |= {
            as_number(kink + sign(draw) * power(10, -draw.uniform(0, 4)), dtype) for _ in "ab"
        }
    for edge in edges:
        points |= {edge, neighbour(edge, -1, dtype), neighbour(edge, 1, dtype)}
        points |= {as_number(edge * draw.uniform(0.85, 1.02), dtype) for _ in range(4)}
    for low, high in definition.hard:
        points |= {as_number(draw.uniform(low, high), dtype) for _ in range(6)}
    if dtype == "float32":
        points |= {from_bits(bits, dtype) for bits in definition.worst.split()}
    fillings = fill(edges, dtype, draw)
    while len(points) < N_POINTS:
        points.add(as_number(next(fillings), dtype))
    return sorted(points)


def fill(edges: list[float], dtype: str, draw: Random) -> Iterator[float]:
    """Yield numbers of ordinary size, of every magnitude, and in the tails."""
    form = FORMATS[dtype]
    # Beyond this, 1 + exp(-x) rounds to 1.
    reach = form.digits * 0.83
    low = max([edge for edge in edges if edge < -1], default=-reach)
    high = min([edge for edge in edges if edge > 1], default=reach)
    while True:
        yield draw.triangular(-5, 5)
        yield draw.uniform(low, high)
        yield draw.uniform(-reach, reach)
        yield sign(draw) * power(10, draw.uniform(-4, 0))
        yield sign(draw) * power(2, draw.uniform(form.lowest, form.highest))


def power(base: int, exponent: float) -> float:
    """Return base ** exponent, the same on every machine: a C library's may differ in a bit."""
    return float(mpf(base) ** exponent)


def sign(draw: Random) -> int:
    """Return 1 or -1."""
    return draw.choice((1, -1))


def find_edges(function: Callable[[float], mpf], dtype: str) -> list[float]:
    """Return where the function's magnitude crosses the limits of the dtype's normal numbers.

    The magnitude must be monotone from 1 to each end of the dtype's range.
    """
    form = FORMATS[dtype]
    edges = []
    for start in (1.0, -1.0):
        for end in (form.largest, form.tiny):
            for level in (form.largest, form.tiny, form.smallest):
                is_above = abs(function(start)) > level
                if (abs(function(math.copysign(end, start))) > level) != is_above:
                    edges.append(bisect(function, start, math.copysign(end, start), level, dtype))
    return edges


def bisect(function: Callable[[float], mpf], a: float, b: float, level: float, dtype: str) -> float:
    """Return a number between a and b where the function's magnitude crosses a level."""
    is_above = abs(function(a)) > level
    low, high = (int(to_bits(number, dtype), 16) for number in (a, b))
    width = len(to_bits(a, dtype))
    while abs(high - low) > 1:
        middle = (low + high) // 2
        if (abs(function(from_bits(f"{middle:0{width}x}", dtype))) > level) == is_above:
            low = middle
        else:
            high = middle
    return from_bits(f"{low:0{width}x}", dtype)


def draw_rows(name: str, dtype: str, draw: Random) -> list[list[float]]:
    """Return rows whose numbers are from 0.001 to 200 apart."""
    rows = []
    for length, count in ROWS_OF_LENGTH.items():
        n = length + length % 2 if name == "glu" else length
        for number in range(count):
            spread = power(10, draw.uniform(-3, 2.3))
            centre = draw.triangular(-8, 8) * power(10, draw.uniform(-1, 1))
            if name == "logsumexp" and number % 3 == 1:
                centre = float(-mp.log(n))  # so that the result is near 0
            row = [as_number(centre + spread * draw.uniform(-0.5, 0.5), dtype) for _ in range(n)]
            if number % 3 == 2:
                row[0] = row[-1] = max(row)  # a tie
            rows.append(row)
    return rows


if __name__ == "__main__":
    main()
