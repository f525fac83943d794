"""Python functions and JSON: a signature as a typed form with a JSON Schema, and a return value as JSON.

Everything that can't be expressed is refused when the tool is declared, never when a model calls it.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import from_json, to_json

from onward.core.canonical import DEEPEST, canonical, copied
from onward.core.given import NOTHING, Given
from onward.core.outcomes import Call, Pending
from onward.errors import BadInput
from onward.programs.complaints import complaints
from onward.programs.injection import hints_of
from onward.programs.signature import Signature, signature_of

_BYTES = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
CONFIG = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=(), **_BYTES)
LONGEST_REPR = 2000
_SECRET = '"writeOnly":true'
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_NO_SCHEMA = (PydanticUserError, PydanticUndefinedAnnotation, TypeError, ValueError, NameError)
_NO_NOTES: Mapping[str, str] = {}


def is_tool_name(name: Any) -> TypeGuard[str]:
    """Whether every model takes it as the name of a function: 1 to 64 letters, digits and _, and no digit first."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


class Form:
    """What a tool's arguments must look like, made from its function's signature.

    `parameters` are the names a model fills in, `call` the name of the one that is given the Call, `needs` what others
    are given; `schema` is the JSON Schema (2020-12) a model is shown. `notes` describe parameters without a description
    of their own.
    """

    def __init__(self, tool: str, model: type[BaseModel], signature: Signature, notes: Mapping[str, str]) -> None:
        self.tool = tool
        self.call = signature.call
        self.needs = signature.needs
        self.parameters = tuple(model.model_fields)
        self._adapter = TypeAdapter(model)
        self.schema = self._adapter.json_schema(schema_generator=_Untitled)
        self.schema.pop("title", None)
        for name, info in model.model_fields.items():
            _describe(self.schema["properties"][_alias(info) or name], info, notes.get(name))
        self._has_sets = '"uniqueItems":true' in canonical(self.schema)

    def parse(self, arguments: Any) -> BaseModel:
        """The typed arguments. Raises BadInput with a message that names each wrong field and says what to do."""
        try:
            return self._adapter.validate_json(canonical({} if arguments is None else arguments))
        except ValidationError as exc:
            raise BadInput(f"{self.tool}: {complaints(exc, self.schema)}") from exc
        except BadInput as exc:
            raise BadInput(f"{self.tool}: the arguments are {exc}") from exc
        except Exception as exc:  # a validator of the tool's author: its failure must not become the session's
            raise BadInput(f"{self.tool}: the arguments can't be checked: {type(exc).__name__}") from exc

    def dump(self, value: BaseModel) -> dict[str, Any]:
        """Typed arguments as JSON, defaults filled in. Raises BadInput for what JSON can't hold."""
        try:
            data = self._adapter.dump_python(value, mode="json", by_alias=True, warnings=False)
            if self._has_sets:
                data = ordered(value, data)
            canonical(data, DEEPEST)
        except Exception as exc:
            raise BadInput(f"{self.tool}: the arguments can't be written as JSON: {exc}") from exc
        return dict(data)

    def settle(self, arguments: Any) -> tuple[BaseModel, dict[str, Any]]:
        """The arguments as they are recorded and shown, and the same read back: what the tool will be given.

        Raises BadInput, also for arguments that would mean something else when they are read back.
        """
        recorded = self.dump(self.parse(arguments))
        value = self.parse(recorded)
        if canonical(self.dump(value)) != canonical(recorded):
            raise BadInput(f"{self.tool}: the arguments change when they are recorded and read back")
        return value, recorded

    def keywords(self, value: BaseModel, call: Call) -> dict[str, Any]:
        """What the function is called with."""
        given = {name: value.__dict__[name] for name in self.parameters}
        return given if self.call is None else {**given, self.call: call}


class _Untitled(GenerateJsonSchema):
    """Titles repeat the names; a model pays for them at every turn."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _describe(schema: dict[str, Any], info: FieldInfo, note: str | None) -> None:
    """What is said of a parameter: by its Field, else by a plain text in its annotation, else by the docstring."""
    texts = [text for text in (*info.metadata, note) if isinstance(text, str) and text]
    if info.description is None and texts:
        schema["description"] = texts[0]


def _alias(info: FieldInfo) -> str | None:
    """The name that a model uses for this parameter, if it is another one. Raises BadInput."""
    read, written = info.validation_alias or info.alias, info.serialization_alias or info.alias
    if read != written or not isinstance(read, str | None):
        raise BadInput("has one name to be read by and another to be written by: give it alias= alone")
    return read


def ordered(value: Any, data: Any) -> Any:
    """The JSON of a value with every set in a fixed order: a set's own differs from process to process."""
    if isinstance(data, list) and isinstance(value, list | tuple | set | frozenset):
        items = [ordered(inner, plain) for inner, plain in zip(value, data, strict=True)]
        return sorted(items, key=canonical) if isinstance(value, set | frozenset) else items
    if isinstance(data, dict) and (inner := _fields(value)) and len(inner) == len(data):
        return {key: ordered(part, plain) for part, (key, plain) in zip(inner, data.items(), strict=True)}
    return data


def _fields(value: Any) -> list[Any]:
    """The parts of a mapping, a model or a dataclass, in the order in which they are written."""
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, BaseModel):
        return [getattr(value, name, None) for name in type(value).model_fields]
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    return []


# --- signatures ------------------------------------------------------------------------------------------------


def form_of(
    function: Callable[..., Any], tool: str, notes: Mapping[str, str] = _NO_NOTES, *, typed: bool = True
) -> Form:
    """The form of a function's arguments; `notes` are what its docstring says of them. Where it need not be `typed`, a
    parameter without an annotation takes any JSON.

    Raises BadInput, naming the tool and the parameter.
    """
    return _form(tool, signature_of(function, tool, typed=typed), notes)


def _form(tool: str, signature: Signature, notes: Mapping[str, str]) -> Form:
    fields: dict[str, Any] = dict(signature.fields)
    with warnings.catch_warnings():
        # A parameter may be called `copy` or `json`: the model class has such methods, and nothing here uses them.
        warnings.simplefilter("ignore")
        try:
            model = create_model(tool, __config__=CONFIG, **fields)
            for name, info in model.model_fields.items():
                _check_alias(tool, name, info)
                _check_default(tool, name, fields[name][0], info)
            form = Form(tool, model, signature, notes)
        except _NO_SCHEMA as exc:
            raise _culprit(tool, fields, exc) from exc
    if _SECRET in canonical(form.schema):
        raise _secret(tool, fields)
    return form


def _check_alias(tool: str, name: str, info: FieldInfo) -> None:
    try:
        _alias(info)
    except BadInput as exc:
        raise BadInput(f"tool {tool}: parameter {name} {exc}") from None


def _culprit(tool: str, fields: Mapping[str, Any], exc: Exception) -> BadInput:
    """Which parameter it was: each is tried alone, now that the whole has failed."""
    for name, (annotation, _) in fields.items():
        try:
            _schema(annotation)
        except _NO_SCHEMA as own:
            named = f"parameter {name} is a {_named(annotation)}, which has no JSON Schema"
            return BadInput(f"tool {tool}: {named}{_why(own)}")
    return BadInput(f"tool {tool}: its parameters have no JSON Schema{_why(exc)}")


def _why(exc: Exception) -> str:
    """Why pydantic has no schema, unless it only says so (and how to have none, which doesn't help here)."""
    return "" if isinstance(exc, PydanticSchemaGenerationError) else f": {str(exc).splitlines()[0]}"


def _named(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)


def _check_default(tool: str, name: str, annotation: Any, info: FieldInfo) -> None:
    if info.is_required() or info.default_factory is not None:
        return
    try:
        adapter = adapter_of(annotation)
        canonical(adapter.dump_python(adapter.validate_python(info.default), mode="json"))
    except ValidationError as exc:
        wrong = exc.errors()[0]["msg"]
        raise BadInput(f"tool {tool}: parameter {name}: its default is no {_named(annotation)}: {wrong}") from exc
    except (ValueError, BadInput) as exc:
        raise BadInput(f"tool {tool}: parameter {name}: its default can't be written as JSON: {exc}") from exc


def _secret(tool: str, fields: Mapping[str, Any]) -> BadInput:
    """A pydantic secret is written as stars, so the tool would be given stars."""
    name = next(name for name, (annotation, _) in fields.items() if _SECRET in canonical(_schema(annotation)))
    says = "holds a secret, and arguments are recorded: take it as Annotated[Secret, 'NAME']"
    return BadInput(f"tool {tool}: parameter {name} {says}")


def _schema(annotation: Any) -> dict[str, Any]:
    return adapter_of(annotation).json_schema()


def adapter_of(annotation: Any) -> TypeAdapter[Any]:
    """For this type; bytes are base64, unless it is a class that has its own say."""
    try:
        return TypeAdapter(annotation, config=_BYTES)
    except PydanticUserError as exc:
        if exc.code != "type-adapter-config-unused":
            raise
        return TypeAdapter(annotation)


# --- results ---------------------------------------------------------------------------------------------------


class Results:
    """Return values as JSON, by the function's return annotation where it has one."""

    def __init__(self, function: Callable[..., Any], tool: str) -> None:
        hints = hints_of(function, f"tool {tool}")
        self._tool = tool
        self._adapter: TypeAdapter[Any] | None = None
        if "return" in hints:
            try:
                self._adapter = adapter_of(_at_last(hints["return"]))
            except _NO_SCHEMA as exc:
                what = _named(hints["return"])
                raise BadInput(
                    f"tool {tool}: its result, a {what}, can't be written as JSON: return plain data"
                ) from exc

    def dump(self, value: Any, given: Given = NOTHING) -> Any:
        """The value as JSON, without the secrets that were given. Never raises: by now the effect has happened, and it
        must be recorded.

        What is not of the annotated type is written as what it is; what can't be written at all becomes
        `{"type": ..., "repr": ...}`.
        """
        for write in (self._by_annotation, _by_value):
            try:
                return given.scrub_json(from_json(write(value)))
            except Exception:  # then the next way, down to words
                continue
        return {"type": type(value).__name__, "repr": _words(value, given)}

    def read(self, value: Any) -> Any:
        """The typed value that was written so; what is not annotated is as it was written. Raises BadInput."""
        if self._adapter is None:
            return copied(value)
        try:
            return self._adapter.validate_json(canonical(value))
        except ValidationError as exc:
            raise BadInput(f"{self._tool}: what is recorded is not what it returns: {exc.errors()[0]['msg']}") from exc
        except Exception as exc:  # a validator of the author's
            raise BadInput(f"{self._tool}: what is recorded can't be read: {type(exc).__name__}") from exc

    def _by_annotation(self, value: Any) -> bytes:
        if self._adapter is None:
            return _by_value(value)
        return self._adapter.dump_json(value, by_alias=True, warnings=False)


def _at_last(annotation: Any) -> Any:
    """What a result is in the end, where it may go on outside first: of what type, who completes it must know."""
    if annotation is Pending:
        return Any
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    parts = tuple(part for part in get_args(annotation) if part is not Pending)
    return Union[parts]  # noqa: UP007 - made of a tuple


def _by_value(value: Any) -> bytes:
    return to_json(value, by_alias=True, inf_nan_mode="null", bytes_mode="base64")


def _words(value: Any, given: Given) -> str:
    try:
        return given.scrub(repr(value))[:LONGEST_REPR].encode("utf-8", "backslashreplace").decode()
    except Exception:
        return ""
