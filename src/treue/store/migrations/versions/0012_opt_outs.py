"""Addresses have keys, the suppression list is kept by them, and what has said stop is an address."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from treue.store import addresses

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(JSONB(), "postgresql")

CUSTOMER = sa.table("customer", *map(sa.column, ("id", "email", "email_key", "push_token", "push_key")))
SUPPRESSION = sa.table("suppression", *map(sa.column, ("id", "channel", "address")))

KEYS = {"email": "email_key", "sms": "phone", "push": "push_key"}

OPT_OUTS = """
    INSERT INTO opt_out (channel, address, since, source, proof, customer_id)
    SELECT channel, address, since, source, proof, customer_id FROM (
        SELECT s.channel, c.{key} AS address, s.since, s.source, s.proof, s.customer_id,
            row_number() OVER (PARTITION BY c.{key} ORDER BY s.since DESC, s.id DESC) AS place
        FROM consent s JOIN customer c ON c.id = s.customer_id
        WHERE s.channel = '{channel}' AND NOT s.given AND c.{key} IS NOT NULL
    ) withdrawn WHERE place = 1
"""

# An import without a date told that somebody had agreed, not when: its event happened when it was received.
UNDATED = """
    EXISTS (SELECT 1 FROM event e WHERE e.customer_id = consent.customer_id AND e.name = 'consent.given'
            AND e.source = 'import' AND e.at = consent.since AND e.received_at = e.at)
"""
MARK = {
    "sqlite": "UPDATE consent SET proof = json_set(proof, '$.undated', json('true'))",
    "postgresql": "UPDATE consent SET proof = proof || '{\"undated\": true}'",
}

LIFTED = """
    DELETE FROM opt_out WHERE channel = '{channel}' AND EXISTS (
        SELECT 1 FROM customer c JOIN consent s ON s.customer_id = c.id AND s.channel = '{channel}'
        WHERE c.{key} = opt_out.address AND s.given AND s.basis = 'consent' AND s.since > opt_out.since
            AND {proof} IS NULL)
"""
PROOF = {"sqlite": "json_extract(s.proof, '$.undated')", "postgresql": "s.proof ->> 'undated'"}


def upgrade() -> None:
    name = op.get_bind().dialect.name
    with op.batch_alter_table("customer", recreate="always" if name == "sqlite" else "never") as table:
        table.add_column(sa.Column("email_key", sa.Text))
        table.add_column(sa.Column("push_key", sa.Text))
    _fill_keys(name)
    op.drop_index("customer_email", "customer")
    op.create_index("customer_email_key", "customer", ["email_key"])
    op.create_index("customer_push_key", "customer", ["push_key"])
    _rewrite_suppressions(name)
    op.create_table(
        "opt_out",
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("address", sa.Text, primary_key=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("proof", JSON, nullable=False),
        sa.Column("customer_id", BIG_ID, sa.ForeignKey("customer.id", ondelete="SET NULL")),
    )
    op.create_index("ix_opt_out_customer_id", "opt_out", ["customer_id"])
    op.get_bind().exec_driver_sql(f"{MARK[name]} WHERE given AND source = 'import' AND {UNDATED}")
    for channel, key in KEYS.items():
        op.execute(OPT_OUTS.format(channel=channel, key=key))
        op.execute(LIFTED.format(channel=channel, key=key, proof=PROOF[name]))


def _fill_keys(name: str) -> None:
    """Write the keys: in the database where small letters are all there is to it, here where there is more."""
    bind, email, token = op.get_bind(), CUSTOMER.c.email, CUSTOMER.c.push_token
    plain, short = sa.not_(_odd(name, email)), sa.func.length(token) <= 500
    bind.execute(sa.update(CUSTOMER).where(plain).values(email_key=_lower(name, email)))
    bind.execute(sa.update(CUSTOMER).where(short).values(push_key=token))
    for channel, key, address, done in (
        ("email", "email_key", email, plain),
        ("push", "push_key", token, short),
    ):
        for id_, text in bind.execute(sa.select(CUSTOMER.c.id, address).where(sa.not_(done))).all():
            values = {key: addresses.key(channel, text)}
            bind.execute(sa.update(CUSTOMER).where(CUSTOMER.c.id == id_).values(values))


def _rewrite_suppressions(name: str) -> None:
    """Leave one row for each mailbox: until now each was listed as written and, beside it, in small letters."""
    bind, id_, address = op.get_bind(), SUPPRESSION.c.id, SUPPRESSION.c.address
    mails = SUPPRESSION.c.channel == "email"
    other = sa.or_(address != _lower(name, address), _odd(name, address))
    for mine, text in bind.execute(sa.select(id_, address).where(mails, other)).all():
        key = addresses.key("email", text)
        if bind.scalar(sa.select(id_).where(mails, address == key, id_ != mine)):
            bind.execute(sa.delete(SUPPRESSION).where(id_ == mine))
        else:
            bind.execute(sa.update(SUPPRESSION).where(id_ == mine).values(address=key))


def _odd(name: str, column: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return whether a text has other characters than ASCII's; empty where there is none."""
    return (
        column.op("GLOB", is_comparison=True)("*[^ -~]*")
        if name == "sqlite"
        else column.regexp_match("[^ -~]")
    )


def _lower(name: str, column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    return sa.func.lower(column if name == "sqlite" else sa.collate(column, "C"))
