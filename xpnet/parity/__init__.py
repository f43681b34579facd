"""Evidence that backends agree: derived error bounds, comparison and certificates."""

from xpnet.parity.bounds.error_bound import ErrorBound, StageBound, error_bound
from xpnet.parity.candidates import stage_results
from xpnet.parity.certificate import read_record, record
from xpnet.parity.comparison import compare
from xpnet.parity.report import Agreement, Report, StageAgreement

__all__ = [
    "Agreement",
    "ErrorBound",
    "Report",
    "StageAgreement",
    "StageBound",
    "compare",
    "error_bound",
    "read_record",
    "record",
    "stage_results",
]
