"""Evidence that backends agree: derived error bounds, comparison and certificates.

Each module is imported on first use of one of its public names.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xpnet.parity.bounds.error_bound import (
        ErrorBound as ErrorBound,
        StageBound as StageBound,
        error_bound as error_bound,
    )
    from xpnet.parity.candidates import stage_results as stage_results
    from xpnet.parity.certificate import (
        Certificate as Certificate,
        certify as certify,
        read_certificate as read_certificate,
        write_certificate as write_certificate,
    )
    from xpnet.parity.report import Report as Report, compare as compare
    from xpnet.parity.stage_statistics import (
        Agreement as Agreement,
        StageAgreement as StageAgreement,
    )

# The public names of each module.
_PUBLIC = {
    "bounds.error_bound": "ErrorBound StageBound error_bound",
    "candidates": "stage_results",
    "certificate": "Certificate certify read_certificate write_certificate",
    "report": "Report compare",
    "stage_statistics": "Agreement StageAgreement",
}
_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names.split()}
__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    if name not in _MODULE_OF:
        msg = f"module 'xpnet.parity' has no attribute {name!r}"
        raise AttributeError(msg)
    value: object = getattr(import_module(f"xpnet.parity.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
