"""Evidence that backends agree: derived bounds, comparison, certificates.

The public names are imported on first use.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xpnet.parity.batch_effects import BatchSensitivity, batch_sensitivity
    from xpnet.parity.bounds.error_bound import ErrorBound, StageBound, error_bound
    from xpnet.parity.candidates import stage_results
    from xpnet.parity.certificates.certificate import read_certificate, write_certificate
    from xpnet.parity.certificates.recording import Certificate, certify
    from xpnet.parity.report import Report, compare
    from xpnet.parity.stage_statistics import Agreement, StageAgreement

_FILES = {
    "batch_effects": ("BatchSensitivity", "batch_sensitivity"),
    "candidates": ("stage_results",),
    "bounds.error_bound": ("ErrorBound", "StageBound", "error_bound"),
    "certificates.certificate": ("read_certificate", "write_certificate"),
    "certificates.recording": ("Certificate", "certify"),
    "report": ("Report", "compare"),
    "stage_statistics": ("Agreement", "StageAgreement"),
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
