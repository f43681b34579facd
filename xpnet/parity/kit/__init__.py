"""Anybody's array code on every library and device: what the plugin and `assert_parity` are of.

Of xpnet it needs the room `arrays` alone.
"""
