"""The JSON API under /api/v1, and every table as CSV or JSON.

routes      all operations and their routes
operations  what an operation is: address, parameters, role, answers
endpoint    dispatch of a request to an operation
openapi     OpenAPI 3.1 from the operations
results     reading results
challenge   rules, claims, ranks, chart data
people      comments, objections, accounts
upload      POST of a result
commitments POST of a hash of code and settings, which label draws are issued for
signatures  POST of the signature of a result
evidence    files that a result rests on, and its verifications
exports     tables as files
"""
