"""Shared parts of the benchmarks.

`options` is the command line; `workload` has networks, rows and true labels; `rivals` are the
libraries, by name in `registry`; `measuring`, `processes`, `server` and `contest` time them; and
`provenance` and `reporting` describe the results, with `pictures`.
"""
