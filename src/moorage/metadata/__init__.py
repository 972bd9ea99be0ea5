"""Metadata: tables, queries by noun, transactions."""
