"""The core dialect, the engine's own API. Source: docs/contracts/core.md."""
