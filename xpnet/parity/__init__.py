"""Evidence that backends agree: derived error bounds, comparison and certificates."""

from xpnet.parity.bounds.error_bound import ErrorBound, StageBound, error_bound
from xpnet.parity.candidates import stage_results
from xpnet.parity.certificate import Certificate, certify, read_certificate, write_certificate
from xpnet.parity.report import Report, compare
from xpnet.parity.stage_statistics import Agreement, StageAgreement

__all__ = [
    "Agreement",
    "Certificate",
    "ErrorBound",
    "Report",
    "StageAgreement",
    "StageBound",
    "certify",
    "compare",
    "error_bound",
    "read_certificate",
    "stage_results",
    "write_certificate",
]
