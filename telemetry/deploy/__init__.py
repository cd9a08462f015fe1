"""Deploys the chart to one cluster or many: the broker, the centre, then the edges. Of the other rooms it uses `trust` alone.

`inventory` is what goes where, `passwords` how passwords come in, `users` which credentials edges and parts of the centre have,
`values` what all of it makes for the chart.
`cluster` asks and changes a cluster, `helm` runs the binary, `secrets` keeps passwords and credentials in clusters,
`certificates` makes that of a Redis that is brought.
`preflight` looks at everything before anything changes: `rendered` reads what would be installed, `facts` what a cluster
says, `judgement` decides, with `nodes` for placement and `quotas` for room.
`handout` keeps credentials and tells broker and centre of them; `rotation` gives edges new ones.
`rollout` installs in order, `workloads` says what is up, `trouble` why something is not.
`pods` are those in which commands can be run: `centre` asks there what is known of edges, `arrivals` waits for their first rows
by it, `verdicts` says what became of them, and `trials` sends marked batches.
`overview` shows all sites, `removal` takes them away, `rehearsal` says what a run would do.
`gitops` writes files for tools that deploy from a repository.
"""
