"""The store of many people's results, in SQLite or PostgreSQL: what a site or a command line builds on.

database          opens a store (``connect``), makes or migrates its schema; transactions
tables            the tables as the newest migration leaves them
migrations        alembic's migrations
user_data         where a user's own files are kept
records           bytes of a result.json to rows, with every verdict that needs no store; pure
insert            ``submit`` one document, or write a batch; duplicates and look-alike names
ingest            folders and checkouts, incrementally, in several processes
filters           the conditions of a list, answered by an index
query             lists, sorting, facets; one result with its runs and its original
chart_data        points of two axes; a metric against the number of labels
export            every row of a table, for CSV and JSON
best              the results that say most about a contest, and the best of a task
standings         contests and their ranks, from the raw values, by ``ie_crowd.ranking.rank``
audit             the log that only grows
rate_limit        how often somebody may try
rejected_uploads  uploads that were refused
proofs            what an upload is held against: commitments before draws were issued
people            what people do with results: accounts, moderation, comments, queues

Functions take the engine that ``database.connect`` returns and plain values, and return plain values: dicts, lists,
named tuples. ``ValueError`` is a user's mistake in one line, ``PermissionError`` something this account may not do,
``LookupError`` something that is not there. Every change is one transaction and leaves a line in the audit log.
Strings are stored as they came: whoever shows them escapes them.
"""
