"""The commands of ``ie-crowd``. Each module adds parsers and runs them.

check             check
result            schema, report, submit: one result
submit            submit
commit            submit --commit
store             ingest, rank, user
rejected_uploads  refused
site              serve, site
verify            verify
backup            backup, restore
"""
