"""The v2 REST API: routers, one per resource."""
