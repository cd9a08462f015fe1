"""Tells people of GPUs that are ill, and that they are well again: by mail, chat or webhooks, through Apprise.

`messages` makes one text of many findings, `addresses` are the places that it goes to, and `telling` decides when something is
told, and again after a failure. What was told is noted by `telemetry.store.notices`. The exporter runs it.
"""
