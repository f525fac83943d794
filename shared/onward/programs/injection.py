"""Parameters that are not a model's: those given the Call, a resource of the process, or a secret."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from onward.core.outcomes import Call
from onward.errors import BadInput

T = TypeVar("T")


class _Mark:
    def __repr__(self) -> str:
        return "injected"


_MARK = _Mark()
Injected = Annotated[T, _MARK]
"""`payments: Injected[Payments]`: given the application's resource of this type. To a type checker it is a Payments."""


class Secret:
    """A value that is used and never shown: `key: Annotated[Secret, "STRIPE_KEY"]`, then `key.reveal()`.

    It can't be printed, compared, pickled or written as JSON. Make one yourself only to call a tool in a test.
    """

    __slots__ = ("__value", "name")

    def __init__(self, value: str, name: str = "") -> None:
        self.__value = value
        self.name = name

    def reveal(self) -> str:
        """The value. Hand it to who needs it; what a tool says of it is starred out, what it prints is not."""
        return self.__value

    def __repr__(self) -> str:
        return f"<secret {self.name}>" if self.name else "<secret>"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: Any) -> Secret:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class Resource:
    """A parameter is to be given what the application has of this type."""

    type: Any


@dataclass(frozen=True, slots=True)
class Named:
    """A parameter is to be given the secret of this name."""

    name: str


def hints_of(function: Callable[..., Any], what: str) -> dict[str, Any]:
    """The function's annotations, resolved. Raises BadInput."""
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as exc:
        raise BadInput(f"{what}: an annotation can't be resolved: {exc}; use what its module imports") from exc


def wants_call(annotation: Any) -> bool:
    """Whether a parameter with this annotation is to be given the Call."""
    return (
        annotation is Call or (_is_union(annotation) and Call in get_args(annotation)) or _annotates(annotation, Call)
    )


def need_of(annotation: Any) -> Resource | Named | None:
    """What a parameter with this annotation is to be given beside the Call, if it is. Raises BadInput."""
    needs = [need for option in _options(annotation) if (need := _need(option)) is not None]
    return needs[0] if needs else None


def _options(annotation: Any) -> Iterator[Any]:
    yield from get_args(annotation) if _is_union(annotation) else (annotation,)


def _need(annotation: Any) -> Resource | Named | None:
    if _annotates(annotation, Secret):
        name = annotation.__metadata__[0]
        if isinstance(name, str) and name:
            return Named(name)
    elif get_origin(annotation) is Annotated and _MARK in annotation.__metadata__:
        return Resource(annotation.__origin__)
    if annotation is Secret or _annotates(annotation, Secret):
        raise BadInput("is a Secret without a name: write Annotated[Secret, 'STRIPE_KEY']")
    return None


def _annotates(annotation: Any, kind: type) -> bool:
    return get_origin(annotation) is Annotated and annotation.__origin__ is kind


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)
