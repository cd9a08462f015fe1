"""Who may ask, and how often: `access` (API keys and their scopes), `limits` (requests in a while)."""
