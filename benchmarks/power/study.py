"""One random network after another: what is let pass, and what is caught."""

import multiprocessing as mp
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from power.cases import Case, random_case
from power.right import right_candidates, with_units_permuted
from power.wrong import Fault, faults_of, faults_of_place, parameter_fault, rule_fault
from xpnet.networks.network import Network
from xpnet.parity.bounds.error_bound import count_results
from xpnet.parity.bounds.propagation import Propagation
from xpnet.parity.report import compare
from xpnet.parity.stage_statistics import Agreement
from xpnet.testing.backend_choice import unavailable_reason
from xpnet.testing.backends import open_backend

__all__ = ["BACKENDS", "CONFIDENCE", "LARGEST_EXPONENT", "Catch", "Study", "studies_of"]

_Matrix = NDArray[Any]
CONFIDENCE = 1.0 - 1e-6
BACKENDS = ("torch", "array-api-strict:device1", "jax")
# JAX compiles each network anew: it takes part in one of so many.
_NETWORKS_PER_JAX = 20
LARGEST_EXPONENT = 24
_PARAMETERS_PER_NETWORK = 16


@dataclass(frozen=True)
class Catch:
    """What became of one fault.

    Attributes
    ----------
    name : str
    is_caught : bool
        Whether the verdict is out of bound.
    is_caught_from_inputs : bool
        Whether it would be if no layer were judged alone.
    is_any : bool
        Whether the fault changes anything in float64.
    effect : float
        What it changes in float64, in units of the bound, where that is largest: from the inputs
        on, or in a layer alone.
    must_show : bool
        Whether the change is somewhere larger than the bound and the rounding errors that the
        faulty computation made there: then it cannot be in bound.
    layer : int
        The first faulty layer, from 1.
    exponent : int or None
        As of `Fault`.
    """

    name: str
    is_caught: bool
    is_caught_from_inputs: bool
    is_any: bool = True
    effect: float = np.inf
    must_show: bool = True
    layer: int = 1
    exponent: int | None = None


@dataclass
class Study:
    """What all networks have shown.

    Attributes
    ----------
    counts : dict of str to Counter
        By dtype: networks, correct computations, and results, of which some have no bound.
    shares : dict of str to dict
        The largest share of the bound that a correct result reached, by how it was judged and how
        it was computed.
    alarms : list of dict
        Correct computations that were out of bound, of which some are not claimed to be in bound.
    catches : list of Catch
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    shares: dict[str, dict[str, float]] = field(default_factory=dict)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    catches: list[Catch] = field(default_factory=list)

    def add(self, other: Self) -> None:
        """Take over what other networks have shown."""
        self.alarms += other.alarms
        self.catches += other.catches
        for dtype, counts in other.counts.items():
            self.counts.setdefault(dtype, Counter()).update(counts)
        for judged, ways in other.shares.items():
            for way, share in ways.items():
                self._note_share(judged, way, share)

    def try_network(self, dtype: str, seed: tuple[int, int]) -> None:
        """Try one random network; in float32, with faults as well."""
        case = random_case(seed, dtype)
        rng = np.random.default_rng((*seed, 1))
        with np.errstate(all="ignore"):
            self._judge_right(case, dtype, seed, rng)
            if dtype == "float32":
                self.catches += judge(case.network, case.rows, list(_all_faults(case, rng)))
                meant, rows, fault = rule_fault(case.network, rng)
                self.catches += judge(meant, rows, [fault])
                self.catches += judge_places(case.network)

    def _judge_right(
        self, case: Case, dtype: str, seed: tuple[int, int], rng: np.random.Generator
    ) -> None:
        names = BACKENDS if seed[1] % _NETWORKS_PER_JAX == 0 else BACKENDS[:-1]
        with ExitStack() as settings:
            backends = [open_backend(name) for name in names if unavailable_reason(name) is None]
            for backend in backends:
                settings.enter_context(backend.flags)
            right = dict(right_candidates(case.network, case.rows, backends))
            permuted = {"permuted units": with_units_permuted(case.network, rng)}
            counts = self.counts.setdefault(dtype, Counter())
            counts["networks"] += 1
            counts["computations"] += len(right) + len(permuted)
            for is_worst in (False, True):
                for candidates in (right, permuted):
                    report = compare(
                        case.network,
                        case.rows,
                        candidates,
                        confidence=CONFIDENCE,
                        worst_case=is_worst,
                        outputs_only=candidates is permuted,
                    )
                    for way, agreement in report.candidates.items():
                        facts = {"dtype": dtype, "seed": seed, "way": way, "worst case": is_worst}
                        self._note(case, agreement, facts)

    def _note(self, case: Case, agreement: Agreement, facts: dict[str, Any]) -> None:
        """Take over how a correct computation was judged."""
        is_worst = facts["worst case"]
        is_claimed = case.is_claimed or is_worst
        if agreement.first_out is not None:
            about = {"stage": agreement.first_out, "kind": case.kind, "claimed": is_claimed}
            self.alarms.append(facts | about)
        for stage in agreement.stages:
            if not is_worst:
                self.counts[facts["dtype"]]["results"] += stage.n_results
                self.counts[facts["dtype"]]["results without a bound"] += stage.n_unbounded
            # Inputs are rounded once: those of float64 always come close to their bound.
            if is_claimed and stage.name != "preprocessing":
                judged = "worst case" if is_worst else "from the inputs on"
                self._note_share(judged, facts["way"], stage.share)
                if stage.alone is not None and not is_worst:
                    self._note_share("layer alone", facts["way"], stage.alone.share)

    def _note_share(self, judged: str, way: str, share: float) -> None:
        shares = self.shares.setdefault(judged, {})
        shares[way] = max(shares.get(way, 0.0), share)


def _all_faults(case: Case, rng: np.random.Generator) -> Iterator[Fault]:
    yield from faults_of(case.network, rng)
    for _ in range(_PARAMETERS_PER_NETWORK):
        i = int(rng.integers(len(case.network.layers))) + 1
        exponent = int(rng.choice(range(0, LARGEST_EXPONENT + 1, 2)))
        fault = parameter_fault(case.network, rng, i, exponent)
        if fault is not None:
            yield fault


def judge(network: Network, rows: _Matrix, faults: Sequence[Fault]) -> Iterator[Catch]:
    """Yield what becomes of faults, beside what they do in float64."""
    wrong = {str(i): fault.stages(rows) for i, fault in enumerate(faults)}
    report = compare(network, rows, wrong, confidence=CONFIDENCE)
    # As many results as `compare` bounds together.
    propagation = Propagation(network, 2 * count_results(network, len(rows)), CONFIDENCE)
    true = list(propagation.stages(rows))
    for fault, (name, stages) in zip(faults, wrong.items(), strict=True):
        agreement = report.candidates[name]
        exact = fault.stages(rows, exactly=True)
        seen = [(x, *pair, got) for x, pair, got in zip(exact, true, stages, strict=True)]
        for i in fault.places:
            given = stages[i - 1]
            x = fault.step(fault.exact_network.layers[i - 1], given.astype(np.float64))
            seen.append((x, *propagation.layer_alone(i, given), stages[i]))
        effects = [_effect(*arrays) for arrays in seen]
        yield Catch(
            fault.name,
            agreement.first_out is not None,
            any(stage.n_out for stage in agreement.stages),
            any(is_any for is_any, _, _ in effects),
            max(size for _, size, _ in effects),
            any(must_show for _, _, must_show in effects),
            fault.places[0],
            fault.exponent,
        )


def _effect(
    faulty: _Matrix, true: _Matrix, bound: _Matrix, got: _Matrix
) -> tuple[bool, float, bool]:
    """Return whether a fault changes anything, by how many bounds, and whether that must show."""
    change, rounding = _distance(faulty, true), _distance(got, faulty)
    size = np.where(np.isinf(bound), 0.0, change)
    # As `compare` does, whose differences are rounded to float32.
    bound = np.maximum(bound, np.finfo(bound.dtype).smallest_normal)
    must_show = bool(np.any(size > (bound + rounding) * (1.0 + 1e-6)))
    return bool(np.any(change)), float(np.max(size / bound)), must_show


def _distance(x: _Matrix, y: _Matrix) -> _Matrix:
    """Return |x - y|: 0 where both are NaN or the same infinity, inf where only one is."""
    is_same = (x == y) | (np.isnan(x) & np.isnan(y))
    distance = np.abs(x - y)
    return np.where(is_same, 0.0, np.where(distance >= 0.0, distance, np.inf))


def judge_places(network: Network) -> Iterator[Catch]:
    """Yield what becomes of results of the last layer that are not where they should be."""
    layer = network.layers[-1]
    rows = np.ones((2, layer.n_in), np.float32)
    for name, one, context in faults_of_place(layer):
        with context:
            agreement = compare(one, rows, {name: one}).candidates[name]
        is_caught = bool(agreement.stages[-1].fault)
        yield Catch(name, is_caught, is_caught)


def studies_of(numbers: dict[str, int], seed: int, n_processes: int) -> Iterator[Study]:
    """Yield what each of so many networks of each dtype has shown."""
    # One thread in each process, XLA's own pool included.
    os.environ["NPROC"] = os.environ["OMP_NUM_THREADS"] = "1"
    context = mp.get_context("spawn")  # JAX and torch have threads, which a fork would break
    with ProcessPoolExecutor(n_processes, mp_context=context) as pool:
        pending = [
            pool.submit(_study_of, dtype, (seed, i))
            for dtype, n_networks in numbers.items()
            for i in range(n_networks)
        ]
        for future in pending:  # in one order, whichever process is faster
            yield future.result()


def _study_of(dtype: str, seed: tuple[int, int]) -> Study:
    study = Study()
    study.try_network(dtype, seed)
    return study
