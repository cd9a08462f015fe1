"""The centre's worker: decodes batches, resolves series, writes by COPY, acknowledges after the commit.

`persist` is the service, `tasks` its thin Celery face; `registry` turns series into ids, `samples` writes them,
`acks` tells the edge, `dead` keeps what can never be stored.
"""
