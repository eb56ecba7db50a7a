"""The OpenAPI documents and their HTML pages, made at build time. Artifacts do not have this package."""
