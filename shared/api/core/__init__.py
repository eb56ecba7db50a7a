"""The core dialect, the engine's own API. Source: contracts/core.md."""
