"""What all four dialects share at run time: gateway, request, errors, authorization, paging."""
