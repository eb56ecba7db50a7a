"""The protocol between the function and the process that evaluates.

A frame is the length of its payload, a number, and the payload. In a request the number is the limit of processor time
in microseconds, in a reply the time that was used.
Source: docs/decisions/0032-expressions-are-evaluated-by-another-process.md.
"""

import struct

FRAME = struct.Struct(">IQ")
MICROSECONDS = 1_000_000
PIPE_BYTES = 64 * 1024

OUT_OF_MEMORY = 12
"""The exit status after an allocation failed."""
