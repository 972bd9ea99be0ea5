"""How Alembic runs the migrations: on the connection that it is handed, inside the transaction open on it."""

from alembic import context

from moorage.metadata.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=False,
)
with context.begin_transaction():
    context.run_migrations()
