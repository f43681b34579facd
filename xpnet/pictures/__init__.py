"""Images and curves, for people who would rather look than read. Needs matplotlib."""
