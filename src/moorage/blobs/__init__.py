"""Where the bytes of blobs are kept: one port (``base``), an adapter per kind of store.

Knows locations and digests; knows nothing of repositories, uploads or rows.
"""
