"""How results become answers.

A list is a `Table` (`tables`): the `Page` (`pages`) that a request asks for, in JSON with a cursor (`cursors`) to go on at,
or all rows in another format. `exports` takes those rows out of the database, `encodings` and `columnar` make bytes of them,
and `arrays` and `csv_rows` of rows that come as arrays, which `woven` makes one text. `streams` sends what is long. `columns`
makes the model of a row from the columns of a table. `live` follows the latest readings as server-sent events.
`prometheus_wire` reads and writes Prometheus' messages. `indented` is JSON for people, `common` are answers that many ask for
at the same time. `delivery` adds ETags, compression and CORS to every answer.
"""
