"""The central database: models, engine, partitions, queries. It knows readings, and nothing of queues or HTTP."""
