"""Run by alembic: it migrates within the transaction it is handed (see `migrations.migrate`)."""

from alembic import context

from treue.model.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
