"""Asks whether this machine, in its role, can work with broker and database, and says of each fault how to mend it.

`finding` is what a check says. `course` runs checks, each with a deadline. `checkup` decides which checks a role needs, and
in which order. `address` reads the URLs of the settings. A kind of check is a module: `resolution` of names, `reach` over the
network, `certificates`, `clocks`, `broker`, `sentinels`, `database`, its `replica`, `logins` by a provider, `machine`, and
`sources` of an edge. In them what decides is pure. `report` makes lines and a document of the findings, without passwords.

Libraries that only some roles have are imported when their check is asked. Nothing here changes anything.
"""
