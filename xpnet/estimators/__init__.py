"""Estimators for scikit-learn, on every array library and device."""

try:
    import sklearn
except ModuleNotFoundError as error:
    msg = "MLPClassifier and MLPRegressor need scikit-learn: pip install scikit-learn"
    raise ModuleNotFoundError(msg, name=error.name) from error
else:
    del sklearn

from xpnet.estimators.mlp import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
