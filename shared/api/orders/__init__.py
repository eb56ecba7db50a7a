"""The orders dialect: the JS7 JOC API. Source: docs/contracts/orders.md."""
