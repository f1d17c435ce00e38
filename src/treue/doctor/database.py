"""Whether the database answers, takes what is written, and is what this version of Treue works with."""

from __future__ import annotations

from collections.abc import Iterator

from treue.doctor.findings import Finding, warning, well, wrong
from treue.doctor.surroundings import Surroundings
from treue.errors import StoreError
from treue.store import migrations
from treue.store.store import Store

MEASURED = 15
"""The PostgreSQL that tests and benchmarks run on."""

OLDEST = 12
"""The oldest PostgreSQL that understands what it is asked (`MATERIALIZED`)."""

FAR_AWAY = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.glusterfs", "ceph", "afs")
"""File systems of other machines, on which the processes of two machines share no memory."""


def check_database(surroundings: Surroundings) -> Iterator[Finding]:
    """Reach the database, hold it to this version, write to it, and look what it is."""
    file = surroundings.database_file
    if file is not None and not file.exists():
        yield warning(f"There is no database {file} yet.", "`treue up` or `treue db upgrade` makes it.")
        return
    store = Store(surroundings.database)
    try:
        found = store.revision()
        yield from _tables(store, found)
        if found == migrations.revisions()[-1]:
            yield _writing(store)
        yield from (_postgresql(store) if store.dialect == "postgresql" else _sqlite(store, surroundings))
    finally:
        store.close()


def _tables(store: Store, found: str | None) -> Iterator[Finding]:
    wanted = migrations.revisions()[-1]
    if found == wanted:
        yield well(f"{store} answers and is at revision {found}, as this version wants it.")
    elif found is None:
        yield wrong(f"{store} has no tables yet.", "`treue db upgrade` makes them.")
    elif found in migrations.revisions():
        yield wrong(
            f"{store} is at revision {found}, this version needs {wanted}.",
            "Make a backup, then run `treue db upgrade`.",
        )
    else:
        yield wrong(
            f"{store} is at revision {found}, newer than this version knows ({wanted}).",
            "Install the newer Treue.",
        )


def _writing(store: Store) -> Finding:
    try:
        store.prove_writable()
    except StoreError as error:
        return wrong(str(error), "Let the user Treue runs as write to it, and see that its disk is not full.")
    return well("It takes what is written.")


def _sqlite(store: Store, surroundings: Surroundings) -> Iterator[Finding]:
    with store.reading() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    if mode == "memory":
        yield warning(
            "The database is in memory, and is gone with the process.", "Name a file in `database`."
        )
        return
    file = surroundings.database_file
    kind = surroundings.file_system(file) if file else ""
    if kind in FAR_AWAY:
        yield wrong(
            f"SQLite's file lies on a file system of another machine ({kind}), where it can be damaged.",
            "Put it on a disk of this machine, or use PostgreSQL.",
        )
    elif mode != "wal":
        yield wrong(
            f"SQLite's journal is `{mode}` and not `wal`: readers and writers keep each other waiting.",
            "Put the file on a disk of this machine that the user Treue runs as may write to.",
        )
    else:
        yield well("SQLite is in WAL mode on a local file.")


def _postgresql(store: Store) -> Iterator[Finding]:
    with store.reading() as connection:
        number = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
        said = str(connection.exec_driver_sql("SHOW server_version").scalar_one())
    yield _version(number // 10_000, said.split(" ")[0])


def _version(major: int, said: str) -> Finding:
    if major < OLDEST:
        return wrong(
            f"PostgreSQL {said} does not understand what Treue asks it.",
            f"Upgrade it to {MEASURED} or newer.",
        )
    if major < MEASURED:
        return warning(
            f"PostgreSQL {said} is older than the one Treue is tested on ({MEASURED}).",
            f"Upgrade it to {MEASURED} or newer when you can.",
        )
    return well(f"It is PostgreSQL {said}.")
