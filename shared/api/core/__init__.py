"""The core dialect."""
