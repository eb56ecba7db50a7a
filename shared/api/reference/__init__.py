"""The OpenAPI documents and their pages: made at build time, never imported for a request."""
