"""What the functions really are: true values in float64, and who else computes them.

No formula is taken from xpnet; those of one variable are proved against mpmath.
"""
