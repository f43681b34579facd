"""Command line of xpnet: a file for each command."""
