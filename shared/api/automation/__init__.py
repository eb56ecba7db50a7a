"""The automation dialect: the 8x8 Automation API. Source: docs/contracts/automation.md."""
