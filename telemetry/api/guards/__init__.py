"""Who may ask, and how often: `access` (API keys and their scopes), `limits` (requests in a while).

For logins by a provider: `groups` (what somebody's groups may do), `discovery` (whether a provider is one to build on).
"""
