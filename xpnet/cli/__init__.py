"""Command line of xpnet: a file for each command.

Nothing here is public, so no module has an ``__all__``; names without an underscore are shared.
"""
