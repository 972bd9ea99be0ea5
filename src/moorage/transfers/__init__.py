"""Asynchronous flows around awaited input and output, shared by the faces and jobs."""
