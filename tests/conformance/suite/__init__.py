"""Checks of the OCI distribution specification, 1.1 and what follows it, over a real socket.

Written from the specification's text for any registry, not for Moorage: every registry that speaks the protocol
can be asked, and one that does not keep it is told where. ``python -m tests.conformance.suite --help`` says how.
"""
