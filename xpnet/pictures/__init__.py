"""Images and curves, drawn with matplotlib."""
