"""How uploads are received.

`places` bounds how many at once, `forms` finds the file in a form, `unpacking` unpacks gzip, `spool` puts the file on disk.
"""
