"""The orders dialect: JS7 JOC API. Source: contracts/orders.md."""
