"""The page: templates and static files, without a build step."""
