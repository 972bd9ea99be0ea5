"""Why a PostgreSQL server cannot be worked with. Apart from what works with it: SQLite needs no driver for it."""


class PostgresqlTooOld(Exception):
    """The server is of a version that is not supported."""


class PostgresqlRefused(Exception):
    """There is no connection to the server; the text says why, without the password."""


class PostgresqlBusy(Exception):
    """Somebody holds a lock that is needed and does not let go of it; the text says what to do."""
