"""Blob stores: the bytes of layers and configs."""
