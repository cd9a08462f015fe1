"""The central database. It knows readings, and nothing of queues or HTTP.

All SQL is here, by what it does: `write` stores what edges send, `read` answers questions, `upkeep` keeps the database small.
Beside them are `models` (the tables), `engine` (connections), `migrate` (the schema's revisions), `partitions` (of samples, by
time), `floor` (below which nothing is stored), `packing`, `hours` and `sealed_rows` (the arrays of sealed days), `lock_table`
(the room for locks), `locks` (the numbers of advisory ones), `durability` (whether a commit lasts), `generations` (whether
commits were forgotten), `sequences` (of ids, after a restore), `rules` (which labels make a series), `shortfalls` (what the
audit found gone), `usage_facts` (how much GPUs were used), and what people and the API change: `apikeys`, `audit_log`,
`deadletters`, `edge_credentials`, `uploads`. `notices` are what people have not been told, `owner_at` is who had a GPU at a
time, for the SQL of others, and `told` which owners a scheduler told of. `follower` is a replica to read from, `pooler` what
PgBouncer asks of us, `silent_sessions` ends those whose client is gone. `foreign` forgets what is known of files that nobody
reads, `trials` what marked batches have left.
"""
