"""How uploads are received: `forms` finds the file in a form, `unpacking` unpacks gzip, `spool` puts the file on disk."""
