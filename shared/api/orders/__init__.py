"""The orders dialect: the JS7 JOC API. Source: contracts/orders.md."""
