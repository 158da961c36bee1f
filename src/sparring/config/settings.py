"""Base of the groups of settings: their notes and ranges, and help for Python users as text."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

_WIDTH: Final = 96
_COLUMN: Final = 40
_REST: Final = "options"

AtLeastOne = Annotated[int, Field(ge=1, le=10**15)]
NumMatches = Annotated[int, Field(ge=1, le=10_000_000)]  # of one evaluation
Size = Annotated[int, Field(ge=1, le=65_536)]  # of a layer: more has no use, and no memory
NotNegative = Annotated[int, Field(ge=0, le=10**15)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Synonyms:
    """Other names of a setting, which messages translate: "lr" gets "did you mean ..."."""

    def __init__(self, *names: str) -> None:
        self.names = names


class Earlier(Synonyms):
    """Names in the first system. A message about one shows the help too, as units may differ."""


class Common(Synonyms):
    """Marks a setting that signatures in Python name."""


class First(Common):
    """Marks one of the few settings that the short help of commands explains, too."""


class _Listed(ModelMetaclass):
    """Lists what users need, so that `help` shows settings and not pydantic's schema."""

    def __dir__(self) -> list[str]:
        own = (vars(base) for base in self.__mro__ if isinstance(base, _Listed))
        return sorted(
            {name for names in own for name in names if not name.startswith(("_", "mod"))}
        )


class Settings(BaseModel, metaclass=_Listed):
    """A frozen group of settings; a field's docstring is its help."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


Groups = Sequence[type[Settings]]


def document(owner: Callable[..., Any], groups: Groups) -> None:
    """Complete the signature and the docstring of what takes settings as keywords.

    The signature names the common settings only: all of them would fill a screen.
    """
    fields = {name: field for group in groups for name, field in group.model_fields.items()}
    own = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in inspect.signature(owner).parameters.items()
        if name not in (*fields, _REST) or name == "game"
    ]
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=field.default)
        for name, field in fields.items()
        if name != "game" and any(isinstance(note, Common) for note in field.metadata)
    ]
    rest = inspect.Parameter(_REST, inspect.Parameter.VAR_KEYWORD)
    owner.__signature__ = inspect.Signature([*own, *common, rest])  # type: ignore[attr-defined]
    owner.__doc__ = f"{inspect.getdoc(owner)}\n\n{settings_text(groups)}\n"


def settings_text(groups: Groups) -> str:
    """Return all settings, one a line in their groups, with default and help."""
    return "\n\n".join(
        "\n".join([inspect.getdoc(group) or "", *_lines(group, indent=4)]) for group in groups
    )


def _lines(group: type[Settings], *, indent: int) -> Iterator[str]:
    for name, field in group.model_fields.items():
        default = field.get_default(call_default_factory=True)
        head = f"{' ' * indent}{name} = "
        if isinstance(default, Settings):
            yield f"{head}a dictionary of:"
            yield from _lines(type(default), indent=indent + 4)
        else:
            head = f"{head}{default!r}".ljust(_COLUMN)
            yield textwrap.fill(
                f"{head}{field.description}", _WIDTH, subsequent_indent=" " * _COLUMN
            )
