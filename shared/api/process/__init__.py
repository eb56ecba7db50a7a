"""The process dialect: Robusta's connector API. Source: docs/contracts/process.md."""
