"""The worker at the centre: fetches batches, stores them by COPY, and acknowledges them after the commit.

The way of a message: `consume` fetches it, and merges it into a group as `coalesce` decides; `tasks` is the Celery task that a
group becomes; `messages` reads each message of it, unless `intake` finds that its edge sends too much, or `days` that it has
readings of too many of them; `persist` is the service that settles them all. Its parts are `writer` (one transaction for many
batches), `deadletters` (keeps messages that can never be stored), `settlements` (acknowledges), `outcome` (what became of a
message) and `blame` (whose fault an error is). `attempts` counts messages that break the worker, `blocked` leaves those alone
that wait for somebody's lock, `upkeep` runs the chores of the database between groups, `retry` stores dead letters for a
person, and `quarantine_retry` quarantined rows that are readings by now, as `second_reading` reads them. `schedule` is for a
beat at the centre.

Three things try again, each for failures that the one before it cannot mend. `tasks` calls the service again within seconds,
in the same process, while a database or a broker restarts. If that does not help, the messages go back to the queue, and each
of them comes alone; `attempts` then counts those that kill the process or use up its time, and ends them as dead letters. A
message of a newer version is no failure: `consume` parks it behind all others until a newer collector takes it, and drops it
where it holds many back: its edge has it.
"""
