"""What is said of a workflow when it is declared: clean-up that runs when nothing is over, and calls that are wrong.

Python closes a suspended coroutine when an instance drops it from memory. That is no end of the workflow: it goes on
elsewhere, from its log. But `finally:`, handlers that catch GeneratorExit, and `with` run their clean-up then.
"""

from __future__ import annotations

import ast
import builtins
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import PurePath
from tokenize import TokenError
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

_DROPPED = (
    "also runs when an instance drops this waiting workflow from memory; "
    "there every ctx call is refused and nothing is recorded"
)
_FINALLY = f"finally around an await: it {_DROPPED}. Give the step an undo=, or clean up in a step that comes after"
_CAUGHT = (
    f"{{}} around an await: it {_DROPPED}. "
    "Catch Exception (and asyncio.CancelledError) instead, or give the step an undo="
)
_WITH = f"{{}} around an await: its clean-up {_DROPPED}. Enter and leave it inside one step, or give the step an undo="
_SLEEP = "time.sleep() stops every session of the instance, at each replay again. Write: await ctx.sleep(...)"
_THREAD = "{}() needs threads, and a workflow has none. Make it a step: await ctx.step(...)"
_FORGOTTEN = "{0}(...) is not awaited, so it never happens. Write: await {0}(...)"

_STEPS = frozenset({"step", "poll"})
_AWAITED = (
    _STEPS | {"sleep", "sleep_until", "approval", "input", "signal", "run", "start"} | {"map", "map_settled", "first"}
)
_CATCHES_ALL = frozenset({"builtins.BaseException", "builtins.GeneratorExit"})
# Their clean-up is in memory only, and goes with it.
_HARMLESS = frozenset(
    f"asyncio.{name}"
    for name in ("timeout", "timeout_at", "TaskGroup", "Lock", "Semaphore", "BoundedSemaphore", "Condition")
) | {"contextlib.nullcontext", "contextlib.suppress", "decimal.localcontext", "pytest.raises"}

_Try = ast.Try | ast.TryStar
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Said = Iterator[tuple[int, str]]
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_ACTS = (ast.Call, ast.Await, ast.AsyncFor, ast.AsyncWith, ast.With, ast.Yield, ast.YieldFrom, ast.Raise)


class WorkflowCaution(UserWarning):
    """Something in a workflow's source will surprise. Says which line, what happens, and what to do instead.

    It is said when the workflow is declared; once it is understood, filter it like any warning.
    """


def cautions(function: Callable[..., Any]) -> list[str]:
    """What to say of this workflow's function, a line each, in the order of its source; nothing if it has no source.

    A nested function counts as part of it, unless it is what a step performs.
    """
    written = inspect.unwrap(function)
    if not isinstance(written, FunctionType) or (definition := _definition(written)) is None:
        return []
    known = _known(written, definition)
    file = PurePath(written.__code__.co_filename).name
    said = (caution for node in _body(definition, known.performed) for caution in _cautions(node, known))
    return [f"{file}:{line}: {text}" for line, text in sorted(said)]


def _definition(function: FunctionType) -> _Function | None:
    """The function's source, with the line numbers of its file."""
    try:
        lines, first = inspect.getsourcelines(function)
        nested = lines[0][:1].isspace()  # it stands in a block, and is given one
        (tree,) = ast.parse(("if True:\n" if nested else "") + "".join(lines)).body
    except (OSError, SyntaxError, TokenError, ValueError):
        return None
    ast.increment_lineno(tree, first - 1 - nested)
    found = tree.body[0] if isinstance(tree, ast.If) else tree
    if isinstance(found, _Function) and found.name == function.__code__.co_name:
        return found
    return None  # the file has changed


# ---------------------------------------------------------------- what there is to say


def _cautions(node: ast.AST, known: _Known) -> _Said:
    if isinstance(node, _Try):
        yield from _of_try(node, known)
    elif isinstance(node, ast.With | ast.AsyncWith):
        yield from _of_with(node, known)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield from _of_forgotten(node.value, known)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, known)


def _of_try(node: _Try, known: _Known) -> _Said:
    handler = next((handler for handler in node.handlers if _catches_all(handler.type, known)), None)
    if handler is not None and _waits(node.body) and not _passes_on(handler.body):
        yield handler.lineno, _CAUGHT.format(f"except {_text(handler.type)}" if handler.type else "bare except")
    if _acts(node.finalbody) and _waits([*node.body, *node.handlers, *node.orelse]):
        yield node.finalbody[0].lineno, _FINALLY


def _catches_all(kind: ast.expr | None, known: _Known) -> bool:
    """Whether a handler of this type catches GeneratorExit, which is what a dropped coroutine is thrown."""
    if isinstance(kind, ast.Tuple):
        return any(_catches_all(one, known) for one in kind.elts)
    return kind is None or known.name_of(kind) in _CATCHES_ALL


def _passes_on(handler: list[ast.stmt]) -> bool:
    """Whether the handler does nothing but raise what it caught."""
    last = handler[-1]
    return isinstance(last, ast.Raise) and last.exc is None and not _acts(handler[:-1])


def _of_with(node: ast.With | ast.AsyncWith, known: _Known) -> _Said:
    cleaning = [item.context_expr for item in node.items if not _is_harmless(item.context_expr, known)]
    if cleaning and _waits(node.body):
        word = "with" if isinstance(node, ast.With) else "async with"
        yield cleaning[0].lineno, _WITH.format(f"{word} {_text(cleaning[0])}")


def _is_harmless(context: ast.expr, known: _Known) -> bool:
    if isinstance(context, ast.Name):
        return context.id in known.harmless
    return _makes_harmless(context, known)


def _makes_harmless(made: ast.expr | None, known: _Known) -> bool:
    if not isinstance(made, ast.Call):
        return False
    name = known.name_of(made.func)
    if name == "contextlib.suppress":
        return not any(_catches_all(kind, known) for kind in made.args)
    return name in _HARMLESS


def _of_forgotten(call: ast.Call, known: _Known) -> _Said:
    if known.is_context(call.func, _AWAITED):
        yield call.lineno, _FORGOTTEN.format(_text(call.func))


def _of_call(call: ast.Call, known: _Known) -> _Said:
    name = known.name_of(call.func)
    if name == "time.sleep":
        yield call.lineno, _SLEEP
    elif name == "asyncio.to_thread":
        yield call.lineno, _THREAD.format(name)
    elif isinstance(call.func, ast.Attribute) and call.func.attr == "run_in_executor":
        yield call.lineno, _THREAD.format("run_in_executor")


# ---------------------------------------------------------------- reading the source


def _body(definition: _Function, performed: frozenset[str]) -> Iterator[ast.AST]:
    """Every node that runs in the workflow's body: those of the functions that steps perform don't."""
    rest: list[ast.AST] = list(definition.body)
    while rest:
        node = rest.pop()
        if not (isinstance(node, _Function) and node.name in performed):
            yield node
            rest.extend(ast.iter_child_nodes(node))


def _scope(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node that runs when these do: not what is in functions that they only define."""
    rest = list(nodes)
    while rest:
        node = rest.pop()
        yield node
        if not isinstance(node, _SCOPES):
            rest.extend(ast.iter_child_nodes(node))


def _waits(nodes: Iterable[ast.AST]) -> bool:
    """Whether the workflow may come to rest in here."""
    return any(
        isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith)
        or (isinstance(node, ast.comprehension) and bool(node.is_async))
        for node in _scope(nodes)
    )


def _acts(nodes: Iterable[ast.AST]) -> bool:
    """Whether anything is called in here: what only sets variables is gone with them."""
    return any(isinstance(node, _ACTS) for node in _scope(nodes))


def _text(node: ast.expr) -> str:
    """The expression in short, without what its calls are given, which may be a secret."""
    text = " ".join(ast.unparse(_Short().visit(deepcopy(node))).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


class _Short(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.Call:
        given: list[ast.expr] = [ast.Constant(...)] if node.args or node.keywords else []
        return ast.Call(self.visit(node.func), given, [])


# ---------------------------------------------------------------- what its names mean


@dataclass(slots=True)
class _Known:
    """What the names in a workflow's source stand for, as far as can be said without running it."""

    context: str
    outside: Mapping[str, Any]
    imported: dict[str, str] = field(default_factory=dict)
    bound: set[str] = field(default_factory=set)
    harmless: set[str] = field(default_factory=set)
    performed: frozenset[str] = frozenset()

    def name_of(self, node: ast.expr) -> str:
        """The full name of what this expression stands for ("time.sleep"), whatever it was imported as; or nothing."""
        if isinstance(node, ast.Attribute):
            owner = self.name_of(node.value)
            return owner and f"{owner}.{node.attr}"
        if not isinstance(node, ast.Name):
            return ""
        if node.id in self.imported:
            return self.imported[node.id]
        return "" if node.id in self.bound else _full_name(self.outside.get(node.id))

    def is_context(self, node: ast.expr, methods: frozenset[str]) -> bool:
        """Whether this is one of these methods of the workflow's context."""
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            return False
        return node.value.id == self.context and node.attr in methods


def _full_name(thing: Any) -> str:
    """Where users find it: what `asyncio.timeouts` defines is `asyncio`'s."""
    kind = type(thing)  # a stand-in may say that it is something else, or fail to
    if issubclass(kind, ModuleType):
        return str(thing.__name__)
    if issubclass(kind, type | FunctionType | BuiltinFunctionType):
        return f"{str(thing.__module__).partition('.')[0]}.{thing.__qualname__}"
    return ""


def _known(function: FunctionType, definition: _Function) -> _Known:
    arguments = [*definition.args.posonlyargs, *definition.args.args]
    known = _Known(arguments[0].arg if arguments else "", _outside(function))
    nodes = list(ast.walk(definition))
    for node in nodes:
        known.imported.update(_imports(node))
        known.bound.update(_binds(node))
    known.performed = frozenset(name for node in nodes for name in _performs(node, known))
    bound = Counter(name for node in nodes for name in _binds(node))
    harmless = Counter(name for node in nodes for name in _binds_harmless(node, known))
    known.harmless = {name for name, times in harmless.items() if times == bound[name]}
    return known


def _outside(function: FunctionType) -> Mapping[str, Any]:
    """What the function's free names stand for now."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    held: dict[str, Any] = {}
    for name, cell in cells:
        try:
            held[name] = cell.cell_contents
        except ValueError:  # nothing yet
            held[name] = None
    return {**vars(builtins), **function.__globals__, **held}


def _imports(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield (alias.asname, alias.name) if alias.asname else (top, top)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _binds(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name


def _performs(node: ast.AST, known: _Known) -> Iterator[str]:
    """The names of the functions that this call gives to a step: to perform, or to undo."""
    if isinstance(node, ast.Call) and known.is_context(node.func, _STEPS):
        given = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "undo")]
        yield from (one.id for one in given if isinstance(one, ast.Name))


def _binds_harmless(node: ast.AST, known: _Known) -> Iterator[str]:
    """The names that are given here what is harmless in a `with`, or are said to be."""
    if isinstance(node, ast.arg) and _is_one(node.annotation, known):
        yield node.arg
    elif isinstance(node, ast.AnnAssign) and (_is_one(node.annotation, known) or _makes_harmless(node.value, known)):
        yield from _binds(node.target)
    elif isinstance(node, ast.Assign) and len(node.targets) == 1 and _makes_harmless(node.value, known):
        yield from _binds(node.targets[0])


def _is_one(annotation: ast.expr | None, known: _Known) -> bool:
    return annotation is not None and known.name_of(annotation) in _HARMLESS
