"""Images and curves, drawn with matplotlib or as text."""
