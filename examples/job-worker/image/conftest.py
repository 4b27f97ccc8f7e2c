"""Here, so that pytest finds the package `worker` beside it."""
