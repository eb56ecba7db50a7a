"""The process dialect: Robusta's connector API. Source: contracts/process.md."""
