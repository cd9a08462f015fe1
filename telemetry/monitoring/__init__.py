"""Watches the workers from inside. Metrics and logs will stand here too."""
