"""The limits of an expression.

The CEL library itself limits an evaluation to 10,000 iterations of ``map``, ``filter``, ``exists`` and ``all`` and
to 32 levels of nesting, and its regular expressions do not backtrack (RE2). The other limits are ours. Time and memory
are limited by the process that evaluates, see ``shared/adapters/evaluator``.
Source: docs/expressions.md.
"""

MAX_SOURCE_BYTES = 4096
MAX_CONTEXT_BYTES = 256 * 1024
MAX_RESULT_BYTES = 256 * 1024
MAX_TEXT_CHARACTERS = 64 * 1024
"""The longest text a host function may return."""
MAX_GROWTH = 256
"""How often the macros of one expression may multiply their input; see ``growth``."""
MAX_TEXT_BYTES = 8 * 1024 * 1024
"""The largest text an evaluation could make, computed before it runs; see ``Program``."""
MAX_HOST_CHARACTERS = 4 * 1024 * 1024
"""The most characters that the host functions may be given in one request, over all of their calls."""

EVALUATION_SECONDS = 0.2
"""The processor time of one request: an expression, or all expressions of one rendered value."""

DECISION_SECONDS = 2.0
"""The processor time of all requests of one decision, such as the next cycle after a thousand missed dates."""

FORESIGHT_SECONDS = 0.6
"""The processor time of all requests of a simulation or forecast, which can answer a part."""

CHECK_SECONDS = 1.0
"""The processor time of all checks of one document."""

REQUEST_SECONDS = 0.0001
"""The least that a request counts, because asking takes time too."""
