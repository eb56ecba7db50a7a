"""Host functions for text, encodings and digests. The size of a result is checked before it is built.

Source: docs/expressions.md.
"""

import base64
import binascii
import hashlib
import hmac

from shared.expressions.limits import MAX_TEXT_CHARACTERS

_MAX_PARTS = 1000


def split(text: str, separator: str) -> list[str]:
    """Return the parts between the separators, at most 1,000. The separator must not be empty."""
    if not separator:
        raise ValueError("split: the separator is empty")
    if text.count(separator) >= _MAX_PARTS:
        raise ValueError(f"split: more than {_MAX_PARTS} parts")
    return text.split(separator)


def join(parts: list[object], separator: str) -> str:
    """Return the texts of the list, joined by the separator."""
    # A list whose element type is known only at run time can hold anything.
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) != len(parts):
        raise ValueError("join: the list holds something that is not text; convert with string()")
    _require_length("join", sum(map(len, texts)) + len(separator) * max(0, len(texts) - 1))
    return separator.join(texts)


def replace(text: str, old: str, new: str) -> str:
    """Return ``text`` with every ``old`` replaced by ``new``. ``old`` must not be empty."""
    if not old:
        raise ValueError("replace: the text to replace is empty")
    _require_length("replace", len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def base64_encode(text: str) -> str:
    """Return the UTF-8 bytes of the text in base64 (standard alphabet, padded)."""
    return base64.b64encode(text.encode()).decode("ascii")


def base64_decode(text: str) -> str:
    """Return the text whose UTF-8 bytes are given in base64 (standard alphabet, padded)."""
    try:
        return base64.b64decode(text.encode(), validate=True).decode()
    except binascii.Error:
        raise ValueError("base64Decode: this is not base64") from None
    except UnicodeDecodeError:
        raise ValueError("base64Decode: the bytes are not UTF-8 text") from None


def sha256(text: str) -> str:
    """SHA-256 of the UTF-8 bytes, in lower-case hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def hmac_sha256(key: str, message: str) -> str:
    """HMAC-SHA-256 of the message under the key, both as UTF-8 bytes, in lower-case hex."""
    return hmac.digest(key.encode(), message.encode(), "sha256").hex()


def _require_length(name: str, length: int) -> None:
    if length > MAX_TEXT_CHARACTERS:
        raise ValueError(f"{name}: the result is longer than {MAX_TEXT_CHARACTERS} characters")
