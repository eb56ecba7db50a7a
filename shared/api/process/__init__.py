"""The process dialect. Source: contracts/process.md."""
