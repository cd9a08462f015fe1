"""The web page: fleet, hosts, GPUs, owners, jobs, events, pipeline, data. It shows what the API answers, and that alone.

`views` sends the documents, `session` lets people in by an API key, or as the `provider` of logins names them, whose `refusals`
have the mend in them. `headers` keeps the page to what is its own. `templates`
are the documents and `static` their style and scripts, of which each has one subject.
"""
