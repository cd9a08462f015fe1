"""Celery applications that are measured beside ours. Each is a module that `celery -A` loads, and knows nothing of ours."""
