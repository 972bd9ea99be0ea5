"""Alembic migrations, numbered, each in one transaction."""
