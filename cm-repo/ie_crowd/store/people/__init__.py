"""What people do with results in a store, and who may do it.

accounts      accounts, tokens, sessions, roles
moderation    publish, release, quarantine, withdraw; objections
comments      comments and reviewers' signatures
independence  a reviewer's word that two submitters are independent
reports       reports of inappropriate content, by anybody
related       data sets, code and work beside a paper, as operators keep them
undoable      what a change leaves, so that it can be undone
undo          the inverse of a reviewer's own last changes
review_queue  an account's own uploads; what waits for a reviewer, with the reasons
"""
