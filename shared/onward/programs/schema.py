"""Python functions and JSON: a signature as a typed form with a JSON Schema, and a return value as JSON.

Everything that can't be expressed is refused when the tool is declared, never when a model calls it.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import from_json, to_json

from onward.core.canonical import canonical
from onward.core.outcomes import Call
from onward.errors import BadInput

CONFIG = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())
LONGEST_REPR = 2000
ERRORS_SHOWN = 5
_SECRET = '"writeOnly":true'
_NO_SCHEMA = (PydanticUserError, PydanticUndefinedAnnotation, TypeError, ValueError, NameError)


class Form:
    """What a tool's arguments must look like, made from its function's signature.

    `parameters` are the names a model fills in, `call` the name of the one that is given the Call, `schema` the JSON
    Schema a model is shown.
    """

    def __init__(self, tool: str, model: type[BaseModel], call: str | None) -> None:
        self.tool = tool
        self.call = call
        self.parameters = tuple(model.model_fields)
        self._adapter = TypeAdapter(model)
        self.schema = self._adapter.json_schema(schema_generator=_Untitled)
        self.schema.pop("title", None)
        self._has_sets = '"uniqueItems":true' in canonical(self.schema)

    def parse(self, arguments: Any) -> BaseModel:
        """The typed arguments. Raises BadInput with a message that names each wrong field and says what to do."""
        try:
            return self._adapter.validate_json(canonical({} if arguments is None else arguments))
        except ValidationError as exc:
            raise BadInput(f"{self.tool}: {self._complaints(exc)}") from exc
        except BadInput as exc:
            raise BadInput(f"{self.tool}: the arguments are {exc}") from exc
        except Exception as exc:  # a validator of the tool's author: its failure must not become the session's
            raise BadInput(f"{self.tool}: the arguments can't be checked: {type(exc).__name__}") from exc

    def dump(self, value: BaseModel) -> dict[str, Any]:
        """Typed arguments as JSON, defaults filled in. Raises BadInput for what JSON can't hold."""
        try:
            data = self._adapter.dump_python(value, mode="json", by_alias=True, warnings=False)
            if self._has_sets:
                data = _ordered(self._adapter.dump_python(value, by_alias=True, warnings=False), data)
            canonical(data)
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

    def _complaints(self, exc: ValidationError) -> str:
        errors = exc.errors(include_url=False, include_context=False, include_input=False)
        shown = [self._complaint(error["loc"], error["type"], error["msg"]) for error in errors[:ERRORS_SHOWN]]
        more = len(errors) - len(shown)
        return "; ".join([*shown, f"and {more} more"] if more else shown)

    def _complaint(self, loc: tuple[int | str, ...], kind: str, message: str) -> str:
        if not loc:
            return "the arguments must be an object with the tool's parameters"
        if kind == "extra_forbidden" and len(loc) == 1:
            names = ", ".join(self.schema.get("properties", ())) or "none"
            return f"{str(loc[0])[:64]}: there is no such parameter; there are: {names}"
        return f"{'.'.join(map(str, loc))}: {message}"


class _Untitled(GenerateJsonSchema):
    """Titles repeat the names; a model pays for them at every turn."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _ordered(value: Any, data: Any) -> Any:
    """The JSON of a value with every set in a fixed order: a set's own differs from process to process."""
    if isinstance(value, set | frozenset) and isinstance(data, list):
        return sorted(data, key=canonical)
    if isinstance(value, dict) and isinstance(data, dict):
        return {key: _ordered(inner, data[key]) for inner, key in zip(value.values(), data, strict=True)}
    if isinstance(value, list | tuple) and isinstance(data, list):
        return [_ordered(inner, plain) for inner, plain in zip(value, data, strict=True)]
    return data


# --- signatures ------------------------------------------------------------------------------------------------


def hints_of(function: Callable[..., Any], tool: str) -> dict[str, Any]:
    """The function's annotations, resolved. Raises BadInput."""
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as exc:
        raise BadInput(f"tool {tool}: an annotation can't be resolved: {exc}; use what its module imports") from exc


def wants_call(annotation: Any) -> bool:
    """Whether a parameter with this annotation is to be given the Call."""
    unions = get_origin(annotation) in (Union, UnionType, Annotated)
    return annotation is Call or (unions and Call in get_args(annotation))


def form_of(function: Callable[..., Any], tool: str) -> Form:
    """The form of a function's arguments. Raises BadInput, naming the tool and the parameter."""
    hints = hints_of(function, tool)
    fields: dict[str, Any] = {}
    call: str | None = None
    for parameter in inspect.signature(function).parameters.values():
        _check_parameter(tool, parameter, hints, call)
        if wants_call(hints[parameter.name]):
            call = parameter.name
        else:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (hints[parameter.name], default)
    return _form(tool, fields, call)


def _check_parameter(tool: str, parameter: inspect.Parameter, hints: Mapping[str, Any], call: str | None) -> None:
    wrong = _wrong_kind(parameter)
    if wrong is None and parameter.name not in hints:
        wrong = "has no type annotation"
    elif wrong is None and wants_call(hints[parameter.name]):
        if parameter.kind is not parameter.KEYWORD_ONLY:
            wrong = "takes the Call and must be keyword-only: put it after *"
        elif call is not None:
            wrong = f"takes the Call, which {call} takes already"
    if wrong:
        raise BadInput(f"tool {tool}: parameter {parameter.name} {wrong}")


def _wrong_kind(parameter: inspect.Parameter) -> str | None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return "takes any number of arguments (* or **); a model needs each one named and typed"
    if parameter.kind is parameter.POSITIONAL_ONLY:
        return "is positional-only; a model gives arguments by name: remove the /"
    if parameter.name.startswith("_") or parameter.name == "model_config":
        return "can't be shown to a model under this name: rename it"
    return None


def _form(tool: str, fields: dict[str, Any], call: str | None) -> Form:
    with warnings.catch_warnings():
        # A parameter may be called `copy` or `json`: the model class has such methods, and nothing here uses them.
        warnings.simplefilter("ignore")
        try:
            model = create_model(tool, __config__=CONFIG, **fields)
            for name, info in model.model_fields.items():
                _check_default(tool, name, fields[name][0], info)
            form = Form(tool, model, call)
        except _NO_SCHEMA as exc:
            raise _culprit(tool, fields, exc) from exc
    if _SECRET in canonical(form.schema):
        raise _secret(tool, fields)
    return form


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
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        canonical(adapter.dump_python(adapter.validate_python(info.default), mode="json"))
    except ValidationError as exc:
        wrong = exc.errors()[0]["msg"]
        raise BadInput(f"tool {tool}: parameter {name}: its default is no {_named(annotation)}: {wrong}") from exc
    except (ValueError, BadInput) as exc:
        raise BadInput(f"tool {tool}: parameter {name}: its default can't be written as JSON: {exc}") from exc


def _secret(tool: str, fields: Mapping[str, Any]) -> BadInput:
    """A secret is written as stars, so the tool would be given stars."""
    name = next(name for name, (annotation, _) in fields.items() if _SECRET in canonical(_schema(annotation)))
    return BadInput(f"tool {tool}: parameter {name} holds a secret, and arguments are recorded: get it inside the tool")


def _schema(annotation: Any) -> dict[str, Any]:
    return TypeAdapter(annotation).json_schema()


# --- results ---------------------------------------------------------------------------------------------------


class Results:
    """Return values as JSON, by the function's return annotation where it has one."""

    def __init__(self, function: Callable[..., Any], tool: str) -> None:
        hints = hints_of(function, tool)
        self._adapter: TypeAdapter[Any] | None = None
        if "return" in hints:
            try:
                self._adapter = TypeAdapter(hints["return"])
            except _NO_SCHEMA as exc:
                what = _named(hints["return"])
                raise BadInput(
                    f"tool {tool}: its result, a {what}, can't be written as JSON: return plain data"
                ) from exc

    def dump(self, value: Any) -> Any:
        """The value as JSON. Never raises: by now the effect has happened, and it must be recorded.

        What is not of the annotated type is written as what it is; what can't be written at all becomes
        `{"type": ..., "repr": ...}`.
        """
        for write in (self._by_annotation, _by_value):
            try:
                return from_json(write(value))
            except Exception:  # then the next way, down to words
                continue
        return {"type": type(value).__name__, "repr": _words(value)}

    def _by_annotation(self, value: Any) -> bytes:
        if self._adapter is None:
            return _by_value(value)
        return self._adapter.dump_json(value, by_alias=True, warnings=False)


def _by_value(value: Any) -> bytes:
    return to_json(value, by_alias=True, inf_nan_mode="null")


def _words(value: Any) -> str:
    try:
        return repr(value)[:LONGEST_REPR].encode("utf-8", "backslashreplace").decode()
    except Exception:
        return ""
