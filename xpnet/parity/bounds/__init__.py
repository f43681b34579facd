"""How far a correct computation may be from the true values, derived."""
