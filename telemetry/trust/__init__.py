"""Who is believed, and what each may do at the broker.

`holders` says who gets credentials and for which edges they are good; `credentials` makes them of one secret of the centre.
`rights` are those of the broker's users, made of the list of keys. `signatures` are put on batches and acknowledgements, and
`keyring` is what the centre checks them with. `server` sets the users of a broker, and `control` keeps workers from obeying
strangers. Which credentials are valid is kept in the database (`telemetry.store.edge_credentials`); nothing here knows it.
"""
