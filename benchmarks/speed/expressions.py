"""What somebody would write for each function who has NumPy, and maybe SciPy: one a line.

The expressions are of a float32 `x`, in the names of NumPy, of `speed.rivals`, and of scipy.special
as `special`.
"""

WIDTH = 10  # of the rows of softmax and its relatives

SELU_NEGATIVE = "1.7580993408473766 * expm1(clip(x, -inf, 0))"
SELU_END = "3.238622e38"  # beyond it is infinity
CUBIC = "1.5957691216057308 * (d + 0.044715 * d * d * d)"
PEAK = "x.max(axis=-1, keepdims=True)"
SHIFT = f"(m := where(isfinite(m := {PEAK}), m, 0))"
VALUE, GATE = f"x[:, :{WIDTH}]", f"x[:, {WIDTH}:]"

EXPRESSIONS = {
    "step": """
        where(x > 0, float32(1), float32(0))
        (x > 0).astype(float32)
        heaviside(x, 0)
        maximum(sign(x), 0)
        clip(sign(x), 0, 1)
    """,
    "sigmoid": """
        1 / (1 + exp(-x))
        1 / (1 + exp(clip(-x, -88, 88)))
        1 / (1 + exp(minimum(-x, 88)))
        divide(1, add(1, exp(t := clip(-x, -88, 88), out=t), out=t), out=t)
        where(x >= 0, 1 / (1 + (e := exp(-abs(x)))), e / (1 + e))
        0.5 * (1 + tanh(x / 2))
        special.expit(x)
    """,
    "relu": """
        maximum(x, 0)
        maximum(x, zeros_like(x))
        clip(x, 0, inf)
        where(x > 0, x, 0)
        x * (x > 0)
        (x + abs(x)) / 2
    """,
    "identity": """
        asarray(x)
    """,
    "tanh": """
        tanh(x)
        1 - 2 / (1 + exp(2 * x))
    """,
    "exponential": """
        exp(x)
        where(x > 88.72283, inf, exp(clip(x, -inf, 88.72283)))
    """,
    "leaky_relu": """
        where(x > 0, x, 0.01 * x)
        maximum(x, 0.01 * x)
        maximum(x, 0) + 0.01 * minimum(x, 0)
    """,
    "elu": """
        where(x > 0, x, exp(x) - 1)
        where(x > 0, x, expm1(minimum(x, 0)))
        maximum(x, 0) + expm1(minimum(x, 0))
        maximum(x, expm1(minimum(x, 0)))
        maximum(x, expm1(clip(x, -inf, 0)))
        expm1(x, out=x.copy(), where=x < 0)
    """,
    "selu": f"""
        1.0507009873554805 * where(x > 0, x, 1.6732632423543772 * expm1(minimum(x, 0)))
        1.0507009873554805 * maximum(x, 0) + 1.7580993408473766 * expm1(minimum(x, 0))
        1.0507009873554805 * clip(x, 0, inf) + {SELU_NEGATIVE}
        where(x > {SELU_END}, inf, 1.0507009873554805 * clip(x, 0, {SELU_END}) + {SELU_NEGATIVE})
    """,
    "gelu": """
        0.5 * x * (1 + erf_by_tanh(x * 0.70710678))
        gelu_by_tail(x)
        gelu_by_tail(x.astype(float64)).astype(float32)
        x * special.ndtr(x)
        0.5 * x * special.erfc(x * -0.70710678)
        ((d := maximum(x, -40).astype(float64)) * special.ndtr(d)).astype(float32)
    """,
    "gelu_tanh": f"""
        0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x**3)))
        (d := clip(x, -12, 3e38)) / (1 + exp(-{CUBIC}))
        ((d := maximum(x, -16).astype(float64)) / (1 + exp(-{CUBIC}))).astype(float32)
    """,
    "silu": """
        x / (1 + exp(-x))
        maximum(x, -200) / (1 + exp(-x))
        maximum(x, -200) * exp(minimum(x, 0)) / (1 + exp(-abs(x)))
        maximum(x, -170) / ((t := exp(clip(x, -170, 170) * -0.5)) + 1 / t) / t
        ((d := maximum(x, -200).astype(float64)) / (1 + exp(-d))).astype(float32)
        maximum(x, -200) * special.expit(x)
    """,
    "mish": """
        x * tanh(log1p(exp(x)))
        maximum(x, -200) * tanh(log1p(exp(minimum(x, 20))))
        mish_by_quotient(maximum(x, -200))
        mish_by_halves(x)
        mish_by_quotient(maximum(x, -200).astype(float64)).astype(float32)
    """,
    "softplus": """
        log1p(exp(x))
        logaddexp(x, 0)
        maximum(x, 0) + log1p(exp(-abs(x)))
        maximum(x, log1p(exp(minimum(x, 20))))
        maximum(x, log1p(exp(clip(x, -inf, 20))))
        -special.log_expit(-x)
    """,
    "log_sigmoid": """
        log(1 / (1 + exp(-x)))
        -logaddexp(0, -x)
        minimum(x, 0) - log1p(exp(-abs(x)))
        minimum(x, -log1p(exp(minimum(-x, 20))))
        minimum(x, -log1p(exp(-clip(x, -20, inf))))
        special.log_expit(x)
    """,
    "softsign": """
        x / (1 + abs(x))
        (c := clip(x, -3e38, 3e38)) / (1 + abs(c))
        copysign(1 - 1 / (1 + abs(x)), x)
    """,
    "erf": """
        erf_by_tanh(x)
        erf_by_tanh(x.astype(float64)).astype(float32)
        frompyfunc(math.erf, 1, 1)(x).astype(float32)
        special.erf(x)
    """,
    "softmax": f"""
        (e := exp(x - {PEAK})) / e.sum(axis=-1, keepdims=True)
        (e := exp(x - {PEAK})) / rows_sum(e)
        (e := exp(x - finite({PEAK}))) / rows_sum(e)
        columns(softmax_of_columns, x)
        special.softmax(x, axis=-1)
    """,
    "log_softmax": f"""
        (z := x - {PEAK}) - log(exp(z).sum(axis=-1, keepdims=True))
        (z := x - {PEAK}) - log(rows_sum(exp(z)))
        (z := x - finite({PEAK})) - log(rows_sum(exp(z)))
        columns(log_softmax_of_columns, x)
        special.log_softmax(x, axis=-1)
    """,
    "logsumexp": f"""
        log(exp(x).sum(axis=-1))
        logaddexp.reduce(x, axis=-1)
        ({SHIFT}[:, 0] + log(exp(x - m).sum(axis=-1)))
        ({SHIFT} + log(rows_sum(exp(x - m))))[:, 0]
        columns(logsumexp_of_columns, x)
        special.logsumexp(x, axis=-1)
    """,
    "relu6": """
        clip(x, 0, 6)
        minimum(maximum(x, 0), 6)
    """,
    "celu": """
        where(x > 0, x, expm1(minimum(x, 0)))
        maximum(x, 0) + expm1(minimum(x, 0))
        maximum(x, expm1(minimum(x, 0)))
        maximum(x, expm1(clip(x, -inf, 0)))
    """,
    "squareplus": """
        (x + sqrt(x * x + 4)) / 2
        (x + hypot(x, 2)) / 2
        maximum(x, 0) + 1 / ((h := abs(x) * 0.5) + hypot(h, 1))
        squareplus_by_reciprocal(x)
        squareplus_by_reciprocal(x.astype(float64)).astype(float32)
    """,
    "hard_sigmoid": """
        clip(x / 6 + 0.5, 0, 1)
        clip(x + 3, 0, 6) / 6
        clip(x + 3, 0, 6) * 0.16666667
        minimum(maximum(x + 3, 0), 6) / 6
    """,
    "hard_silu": """
        x * clip(x + 3, 0, 6) / 6
        x * (clip(x + 3, 0, 6) / 6)
        maximum(x, -3) * (clip(x + 3, 0, 6) / 6)
        clip(x, -3, inf) * (clip(x + 3, 0, 6) * 0.16666667)
    """,
    "hard_tanh": """
        clip(x, -1, 1)
        minimum(maximum(x, -1), 1)
    """,
    "hard_shrink": """
        where(abs(x) > 0.5, x, 0)
        where(abs(x) <= 0.5, 0, x)
        x * (abs(x) > 0.5)
        (y := x.copy(), putmask(y, abs(x) <= 0.5, 0))[0]
    """,
    "soft_shrink": """
        where(x > 0.5, x - 0.5, where(x < -0.5, x + 0.5, 0 * x))
        sign(x) * maximum(abs(x) - 0.5, 0)
        x - clip(x, -0.5, 0.5)
    """,
    "tanh_shrink": """
        x - tanh(x)
        ((d := x.astype(float64)) - tanh(d)).astype(float32)
        tanh_shrink_by_series(x.astype(float64)).astype(float32)
    """,
    "threshold": """
        where(x > 1, x, 0.25)
        where(x <= 1, 0.25, x)
        (y := x.copy(), putmask(y, x <= 1, 0.25))[0]
        clip(x, 1, inf) * ~(m := x <= 1) + float32(0.25) * m
    """,
    "sparse_plus": """
        where(x <= -1, 0, where(x < 1, square(x + 1) / 4, x))
        maximum(x, square(clip(x, -1, 1) + 1) / 4)
        maximum(x, square(clip(x, -1, 1) * 0.5 + 0.5))
    """,
    "sparse_sigmoid": """
        where(x <= -1, 0, where(x < 1, (x + 1) / 2, 1))
        clip((x + 1) / 2, 0, 1)
        clip(x * 0.5 + 0.5, 0, 1)
    """,
    "glu": f"""
        {VALUE} / (1 + exp(-{GATE}))
        {VALUE} / (1 + exp(clip(-{GATE}, -88, 88)))
        {VALUE} * ({GATE} > -88) / (1 + exp(clip(-{GATE}, -88, 88)))
    """,
    "sparsemax": """
        sparsemax_by_maximum(x)
        columns(sparsemax_of_columns, x)
    """,
}
