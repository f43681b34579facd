"""Evidence that backends agree: derived bounds, comparison, certificates, and a pytest plugin.

For array code of any kind, on the room `xpnet.arrays` alone: `plugin` and `kit`. For networks:
`bounds`; `report`, which judges `candidates` by them; `certificates`; and `batches`.
The names open on first use.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xpnet.parity.batches import BatchSensitivity, batch_sensitivity
    from xpnet.parity.bounds.error_bound import ErrorBound, StageBound, error_bound
    from xpnet.parity.candidates import stage_results
    from xpnet.parity.certificates.certificate import read_certificate, write_certificate
    from xpnet.parity.certificates.recording import Certificate, certify
    from xpnet.parity.kit.comparing import assert_parity
    from xpnet.parity.report import Report, compare
    from xpnet.parity.tally import Agreement, StageAgreement

_FILES = {
    "batches": ("BatchSensitivity", "batch_sensitivity"),
    "candidates": ("stage_results",),
    "bounds.error_bound": ("ErrorBound", "StageBound", "error_bound"),
    "certificates.certificate": ("read_certificate", "write_certificate"),
    "kit.comparing": ("assert_parity",),
    "certificates.recording": ("Certificate", "certify"),
    "report": ("Report", "compare"),
    "tally": ("Agreement", "StageAgreement"),
}
_HOMES = {name: file for file, names in _FILES.items() for name in names}

__all__ = [
    "Agreement",
    "BatchSensitivity",
    "Certificate",
    "ErrorBound",
    "Report",
    "StageAgreement",
    "StageBound",
    "assert_parity",
    "batch_sensitivity",
    "certify",
    "compare",
    "error_bound",
    "read_certificate",
    "stage_results",
    "write_certificate",
]


def __getattr__(name: str) -> object:
    """Open the file of a public name on first use (PEP 562)."""
    if name not in _HOMES:
        msg = f"module 'xpnet.parity' has no attribute {name!r}"
        raise AttributeError(msg)
    value: object = getattr(importlib.import_module(f"xpnet.parity.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
