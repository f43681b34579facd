"""Evidence about results: largest errors, detected faults, diverging training runs."""
