"""Command line of xpnet: a file for each command; only `device_argument` has public names."""
