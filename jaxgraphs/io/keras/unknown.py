"""Names in a model that mean nothing here, gathered so that one error lists them all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxgraphs.errors import GraphError, combine

_MISSING = object()


@dataclasses.dataclass
class Unknowns:
    """The user's custom objects, and what was looked for among them in vain.

    Args:
        custom: name -> what it stands for.
    """

    custom: Mapping[str, Any]
    places: dict[str, None] = dataclasses.field(default_factory=dict)
    keys: dict[str, str] = dataclasses.field(default_factory=dict)

    def find(self, place: str, *keys: str, what: str, hint: str) -> Any:
        """The custom object under the first of `keys` that has one; None, and a note, where there is none.

        Args:
            place: the layer that names it.
            what: a clause on what is not known.
            hint: what to pass, as code.
        """
        found = next((self.custom[key] for key in keys if key in self.custom), _MISSING)
        if found is not _MISSING:
            return found
        self.places[f"{place}: {what}"] = None
        self.keys[keys[0]] = hint
        return None

    def refuse(self, place: str, problem: str) -> None:
        """Notes a thing that no custom object can mend."""
        self.places[f"{place}: {problem}"] = None

    def error(self) -> GraphError | None:
        """The one error for all of them; None where everything was known."""
        if not self.places:
            return None
        shown = list(self.places)
        rest = [f"and {len(shown) - 40} more"] if len(shown) > 40 else []
        objects = ", ".join(f"{key!r}: {hint}" for key, hint in list(self.keys.items())[:40])
        many = f"{len(shown)} things that are" if len(shown) > 1 else "something that is"
        return combine(
            f"The Keras model has {many} not known here.",
            [*shown[:40], *rest],
            fix=f"jg.from_keras(source, custom_objects={{{objects}}})" if objects else "leave them out of the model",
        )
