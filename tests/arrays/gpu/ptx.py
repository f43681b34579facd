"""Translation of a kernel's PTX, which NVRTC compiled, to C for the host.

One instruction of PTX is one statement of C, so the host computes what a GPU would: each fused
multiply-add, flush to zero and direction of rounding. Only the hardware's approximations (ex2, rcp)
are more accurate here. NVIDIA, "Parallel Thread Execution ISA".

The assembler fuses a product with a sum that has no rounding modifier, if it likes to. Which of two
products it takes is not specified: `fusing` is 0 for no further fusion, and 1 or 2 for fusion that
prefers the first or the second operand.
"""

import re
from collections import Counter

HEAD = """
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#define CAST(name, to, from) static to name(from x) { to y; memcpy(&y, &x, sizeof y); return y; }
CAST(as_f, float, uint32_t)
CAST(as_d, double, uint64_t)
CAST(as_u, uint32_t, float)
CAST(as_v, uint64_t, double)
static float flushed(float x) { return fabsf(x) < FLT_MIN ? copysignf(0, x) : x; }
static float from_half(uint16_t bits) { _Float16 x; memcpy(&x, &bits, 2); return x; }
static uint16_t to_half(float x) { _Float16 y = x; uint16_t z; memcpy(&z, &y, 2); return z; }
static float saturated(float x) { return x > 0 ? fminf(x, 1) : 0; }
static double high_word(double x) { return as_d(as_v(x) >> 32 << 32); }
#define ROUNDED(name, direction, value) \\
    static __attribute__((noinline)) float name(float a, float b, float c) { \\
        volatile float x; \\
        fesetround(direction); x = (value); fesetround(FE_TONEAREST); return x; \\
    }
ROUNDED(fma_down, FE_DOWNWARD, fmaf(a, b, c))
ROUNDED(add_to_zero, FE_TOWARDZERO, a + b)
"""
C_TYPES = {"p": "int", "rs": "uint16_t", "r": "uint32_t", "rd": "uint64_t"}
C_TYPES |= {"f": "float", "fd": "double"}
SIGNED = {"s32": "(int32_t)", "s64": "(int64_t)"}
PLACES = {"ctaid": 0, "tid": 0, "ntid": 1, "nctaid": 1}  # one thread takes all elements
# By the instruction without .ftz, .rn and the type f32 or f64: C, with {f} the suffix of functions.
FLOATING = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "fma": "fma{f}({0}, {1}, {2})",
    "fma.rm": "fma_down({0}, {1}, {2})",
    "add.rz": "add_to_zero({0}, {1}, 0)",
    "neg": "-{0}",
    "abs": "fabs{f}({0})",
    "min": "fmin{f}({0}, {1})",
    "max": "fmax{f}({0}, {1})",
    "sqrt": "sqrt{f}({0})",
    "copysign": "copysign{f}({1}, {0})",
    "selp": "{2} ? {0} : {1}",
    "mov": "{0}",
    "ex2.approx": "exp2({0})",
    "rcp.approx": "1 / {0}",
}
# By the whole instruction, without .ftz and .rn.
OTHERS = {
    "rcp.approx.f64": "high_word(1 / high_word({0}))",
    "cvt.sat.f32.f32": "saturated({0})",
    "cvt.rni.f32.f32": "rintf({0})",
    "cvt.rni.f64.f64": "rint({0})",
    "cvt.f32.s32": "(int32_t){0}",
    "cvt.f32.f64": "{0}",
    "cvt.f64.f32": "{0}",
    "cvt.f32.f16": "from_half({0})",
    "cvt.f16.f32": "to_half({0})",
    "cvt.s64.s32": "(int64_t)(int32_t){0}",
    "cvt.u64.u32": "{0}",
    "cvt.u32.u64": "{0}",
    "cvta.to.global.u64": "{0}",
    "add.s32": "{0} + {1}",
    "add.s64": "{0} + {1}",
    "sub.s32": "{0} - {1}",
    "mul.lo.s32": "{0} * {1}",
    "mul.lo.s64": "{0} * {1}",
    "mul.wide.u32": "(uint64_t){0} * {1}",
    "div.u32": "{0} / {1}",
    "popc.b32": "__builtin_popcount({0})",
    "and.b32": "{0} & {1}",
    "or.b32": "{0} | {1}",
    "xor.b32": "{0} ^ {1}",
    "and.pred": "{0} & {1}",
    "or.pred": "{0} | {1}",
    "not.pred": "!{0}",
    "shl.b32": "{0} << {1}",
    "shr.u32": "{0} >> {1}",
    "shr.s32": "(int32_t){0} >> {1}",
    "selp.b32": "{2} ? {0} : {1}",
    "mov.u32": "{0}",
}
COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
INSTRUCTION = re.compile(r"(?:@(!?)%(p\d+) )?([a-z][\w.]*)(?: (.+))?")


def to_c(ptx: str, fusing: int = 0) -> str:
    """Return C of a function ``run``, whose arguments point to the kernel's arguments."""
    entry = ptx[ptx.index(".visible .entry") :]
    (name,) = re.findall(r"\.entry (\w+)", entry)
    arguments = re.findall(rf"\b{name}_param_\d+(?=\[)", entry)
    registers = [
        f"{C_TYPES[kind]} " + ", ".join(f"{kind}{i}" for i in range(int(n))) + ";"
        for kind, n in re.findall(r"\.reg \.\w+\s+%([a-z]+)<(\d+)>;", entry)
    ]
    body = entry[entry.index("{") + 1 : entry.rindex("}")]
    body = re.sub(r"//.*|\.reg .*?;|\.pragma .*?;", "", body)
    body = re.sub(r"\{(?=\s*[a-z])|(?<=;)\s*\}", "", body)  # braces around inline assembly
    body = re.sub(r"\$?(L_\w+):", r"\1:;", body).replace("$", "")
    lines = [" ".join(line.split()) for line in body.split(";")]
    products = find_products(lines) if fusing else {}
    statements = [statement(line, products, fusing) for line in lines if line]
    parameters = ", ".join(f"const char *{argument}" for argument in arguments)
    return "\n".join([HEAD, f"void run({parameters}) {{", *registers, *statements, "}"])


def find_products(lines: list[str]) -> dict[str, tuple[str, str]]:
    """Return the factors of each register that always is one product, by its name."""
    found, n_writes = {}, Counter(re.findall(r"[a-z]\S* (%\w+),", "\n".join(lines)))
    for line in lines:
        product = re.fullmatch(r"mul(?:\.ftz)?\.f(?:32|64) (%\w+), (\S+), (\S+)", line)
        if product and n_writes[product[1]] == 1:
            found[product[1]] = product[2], product[3]
    return found


def statement(line: str, products: dict[str, tuple[str, str]], fusing: int) -> str:
    """Return the statement of C for a label or an instruction."""
    if line.endswith(":"):
        return f"{line};"
    negation, guard, operation, operands = INSTRUCTION.fullmatch(line).groups()
    words = re.findall(r"\{.*?\}|\[.*?\]|[^\s,]+", operands or "")
    done = fused(operation, words, products, fusing) or plain(operation, words)
    return f"if ({negation}{guard}) {{ {done} }}" if guard else done


def fused(
    operation: str, words: list[str], products: dict[str, tuple[str, str]], fusing: int
) -> str | None:
    """Return a sum as fused multiply-add, if one of its operands is a product."""
    if not re.fullmatch(r"(add|sub)(\.ftz)?\.f(32|64)", operation):
        return None
    target, first, second = words
    sign = "-" if operation.startswith("sub") else ""
    kind = re.sub("add|sub", "fma.rn", operation)
    ways = []
    if first in products:
        ways.append([*products[first], second, "", sign])
    if second in products:
        ways.append([*products[second], first, sign, ""])
    if not ways:
        return None
    a, b, c, product_sign, sum_sign = ways[0 if fusing == 1 else -1]
    return plain(kind, [target, a, b, c], (product_sign, "", sum_sign))


def plain(operation: str, words: list[str], signs: tuple[str, ...] = ("", "", "")) -> str:
    """Return the statement for an instruction; raise KeyError if it is not translated."""
    if operation in {"bra", "bra.uni"}:
        return f"goto {words[0]};"
    if operation == "ret":
        return "return;"
    flushes = ".ftz" in operation
    operation = re.sub(r"\.(ftz|rn)(?=\.)", "", operation)
    kind = operation.rpartition(".")[2]
    if operation.startswith(("ld.", "st.")):
        return memory(operation, words)
    if operation.startswith("mov.b"):
        return bits(words)
    names = [value(word, kind, flushes=flushes) for word in words[1:]]
    names = [f"{sign}{name}" for sign, name in zip((*signs, *signs), names, strict=False)]
    target = words[0].lstrip("%")
    if operation.startswith("setp."):
        return f"{target} = {compared(operation.split('.')[1], SIGNED.get(kind, ''), *names)};"
    if kind in {"f32", "f64"} and operation not in OTHERS:
        template = FLOATING[operation.rpartition(".")[0]]
        done = template.format(*names, f="f" if kind == "f32" else "")
    else:
        done = OTHERS[operation].format(*names)
    return f"{target} = {f'flushed({done})' if flushes and is_float(words[0]) else done};"


def compared(relation: str, cast: str, a: str, b: str) -> str:
    """Return a comparison; one that ends in u is true for NaN."""
    if relation in COMPARISONS:
        return f"{cast}{a} {COMPARISONS[relation]} {cast}{b}"
    opposite = {"ltu": ">=", "leu": ">", "gtu": "<=", "geu": "<", "neu": "=="}
    return f"!({a} {opposite[relation]} {b})"


def is_float(word: str) -> bool:
    """Return whether an operand is float32."""
    return re.match(r"%f\d|0f", word) is not None


def value(word: str, kind: str, *, flushes: bool) -> str:
    """Return the expression of an operand: a register or a number."""
    if word.startswith("0f"):
        name = f"as_f(0x{word[2:]}u)"
    elif word.startswith("0d"):
        name = f"as_d(0x{word[2:]}ull)"
    elif word.startswith("%") and word.endswith(".x"):
        name = str(PLACES[word[1:-2]])
    elif word.startswith("%"):
        name = word[1:]
    else:
        name = f"({'uint64_t' if kind.endswith('64') else 'uint32_t'}){word}"
    return f"flushed({name})" if flushes and is_float(word) else name


def memory(operation: str, words: list[str]) -> str:
    """Return the statement of a load or a store."""
    _, space, kind = operation.split(".")
    c_type = {"f32": "float", "f64": "double"}.get(kind) or f"uint{kind[1:]}_t"
    place = words[0 if operation.startswith("st") else 1].strip("[]%")
    pointer = f"(({c_type} *)({'' if space == 'param' else '(char *)'}{place}))"
    if operation.startswith("st"):
        return f"*{pointer} = {value(words[1], kind, flushes=False)};"
    return f"{words[0][1:]} = *{pointer};"


def bits(words: list[str]) -> str:
    """Return the statement of a move of bits between registers of different types."""
    if words[1].startswith("{"):
        low, high = re.findall(r"%(\w+)", words[1])
        return f"{words[0][1:]} = as_d((uint64_t){high} << 32 | {low});"
    if words[0].startswith("{"):
        halves = zip(re.findall(r"%(\w+)", words[0]), (0, 32), strict=True)
        return " ".join(
            f"{half} = as_v({words[1][1:]}) >> {shift};" for half, shift in halves if half != "temp"
        )
    casts = {"r": "as_u", "f": "as_f", "rd": "as_v", "fd": "as_d"}
    kinds = [re.match(r"%([a-z]+)", word)[1] for word in words]
    cast = "" if kinds[0] == kinds[1] else casts[kinds[0]]
    return f"{words[0][1:]} = {cast}({words[1][1:]});"
