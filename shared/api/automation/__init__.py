"""The automation dialect: the 8x8 Automation API. Source: contracts/automation.md."""
