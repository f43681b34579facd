"""Many rows, fast, in bounded memory."""
