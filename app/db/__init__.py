"""PostgreSQL: the connections, and every SQL statement, in a file named for its subject.

A statement is a function of a connection; the transaction is the use case's. `moves` has every move
between the states of a file. Imports `models` and what is below; the only room besides `models`
that knows SQLAlchemy and asyncpg.
"""
