"""The store of many people's results, in SQLite or PostgreSQL: what a site or a command line builds on.

=============  ======================================================================================
module         what it does
=============  ======================================================================================
database       opens a store (``connect``), makes or migrates its schema; transactions
prepare        bytes of a result.json → rows, with all reasons that need no store; pure
write          ``submit`` one document, or write a batch; copies and look-alike names
ingest         folders and checkouts, incrementally, in several processes
moderate       publish, release, quarantine, withdraw; objections
query          lists, filters and sorting, one result, its runs and its original, facets
charts         points of two axes; a metric against the number of labels
export         every row of a table, for CSV and JSON
standings      ranks and what is reproduced, from the raw values, by ``ie_crowd.ranking.rank``
people         accounts, tokens, sessions, roles
desk           an account's own uploads; what waits for a reviewer
discuss        comments and reviewers' signatures
throttle       how often somebody may try
refusals       uploads that were refused
audit          the log that only grows
=============  ======================================================================================

Functions take the engine that ``database.connect`` returns and plain values, and return plain values: dicts, lists,
named tuples. ``ValueError`` is a user's mistake in one line, ``PermissionError`` something this account may not do,
``LookupError`` something that is not there. Every change is one transaction and leaves a line in the audit log.
Strings are stored as they came: whoever shows them escapes them.
"""
