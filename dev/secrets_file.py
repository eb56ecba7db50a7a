"""The secrets of the local stack: a JSON file instead of AWS.

Its members are accounts, in them ``secret`` and ``parameter``, in those the values by name. An object as a value of
``secret`` has keys (``{{secret.NAME#key}}``). The file is read anew whenever a function reads a secret, so an edit
reaches every call within five minutes of the stack's clock.
"""

import json
from pathlib import Path
from typing import Any

from shared.adapters.secrets import NoSecretError
from shared.domain.ids import AccountId
from shared.domain.strategy.secret_names import SecretKind

VARIABLE = "SECRETS_FILE"
"""The environment variable with the path of the file."""


class FileSecrets:
    """A ``SecretSource`` in a file; ``path`` is empty if there is none."""

    def __init__(self, path: str) -> None:
        self._path = path

    def fetch(self, kind: SecretKind, account_id: AccountId, name: str) -> str | None:
        """Return the text of a secret, or its object as JSON. Raises: NoSecretError."""
        if not self._path:
            raise NoSecretError(f"there is none, because {VARIABLE} names no file")
        found = _member(_member(_member(self._document(), account_id), kind), name)
        if found is None:
            raise NoSecretError(f"there is none in {VARIABLE} under {account_id!r}, {str(kind)!r}")
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    def _document(self) -> Any:  # noqa: ANN401 - any JSON value
        try:
            return json.loads(Path(self._path).read_text())
        except OSError as error:
            raise NoSecretError(f"{VARIABLE} cannot be read: {error.strerror}") from None
        except ValueError:
            pass
        # Outside the handler, because the error of the parser has the whole text.
        raise NoSecretError(f"{VARIABLE} is no JSON")


def _member(value: Any, name: str) -> Any:  # noqa: ANN401 - any JSON value
    return value.get(name) if isinstance(value, dict) else None
