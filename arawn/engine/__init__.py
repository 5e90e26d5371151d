"""From settings to running objects: backends, the middleware around them, their health."""
