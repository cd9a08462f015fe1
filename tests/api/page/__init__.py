"""The web page, as the application sends it."""
