"""The migrations, one module for each version of our tables. What has been released is never changed."""
