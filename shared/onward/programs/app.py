"""An application: the programs a deployment runs, and how one is found by its name."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from onward.core.canonical import sha256
from onward.core.given import Supply
from onward.core.model import Model
from onward.core.program import Program, Programs
from onward.core.webhooks import Webhook
from onward.errors import BadInput, OnwardError
from onward.programs.agent import Agent
from onward.programs.resources import Resources, SecretSource, checked_resources, checked_secrets, tools_of

DEFAULT_ATTRIBUTE = "app"
_HOW = "write: app = App(programs=[...])"
_OURS = Path(__file__).resolve().parents[1]


class App:
    """What a deployment runs. Several versions of one program may stand side by side, the newest of a name last.

    `programs` maps (name, version) to program, `names` are the names in the order given. Agents that others ask or hand
    over to belong to it without being named, but a session is started of one of those by its name only.

    `resources` are what tools take as `Injected[T]`: instances, or functions that say in their return annotation what
    they give (sync or async; what comes after a `yield` closes it). Each is made once per process, at its first use,
    and closed at the end, the newest first; an instance is yours to close. `secrets` are what tools take as `Secret`: a
    mapping, or a function of the name; the environment otherwise. `webhooks` are told when people are needed, and when
    a session ends. Raises BadInput for a tool that needs a resource which nothing gives, or more than one.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        resources: Sequence[Any] = (),
        secrets: SecretSource | None = None,
        webhooks: Sequence[Webhook] = (),
    ) -> None:
        listed = _registered(programs)
        self.programs: Programs = {**_found(listed), **listed}
        self._listed = tuple(dict.fromkeys(name for name, _ in listed))
        self._given, self._secrets = checked_resources(resources), checked_secrets(secrets)
        self._resources = Resources(self._given, tools_of(self.programs.values()))
        self.names: tuple[str, ...] = tuple(dict.fromkeys((*self._listed, *(name for name, _ in self.programs))))
        self.webhooks = _checked_webhooks(webhooks, self.names)

    def __repr__(self) -> str:
        return f"<app: {', '.join(f'{name} {version}' for name, version in self.programs)}>"

    def program(self, name: str, version: str) -> Program | None:
        """Exactly this version of this program, or None."""
        return self.programs.get((name, version))

    def newest(self, name: str) -> Program | None:
        """The version of this program that new sessions get, or None."""
        return next((program for program in reversed(list(self.programs.values())) if program.name == name), None)

    def choose(self, name: str | None = None) -> Program:
        """The newest version of this program; without a name, of the only one. Raises BadInput."""
        if name is None and len(self._listed) > 1:
            raise BadInput(f"which program? This application has {', '.join(self.names)}; write APP:PROGRAM")
        program = self.newest(self._listed[0] if name is None else name)
        if program is None:
            raise BadInput(f"there is no program {name!r}; this application has {', '.join(self.names)}")
        return program

    def with_model(self, model: Model) -> App:
        """The same application, every agent asking this model."""
        return self._changed(lambda agent: agent.with_model(model))

    def resolved(self, resolve: Callable[[str], Model | None]) -> App:
        """The same application with its agents' models looked up by name.

        A name that `resolve` knows nothing of (None) stays a name: only who runs that agent needs the model.
        """

        return self._changed(lambda agent: agent.resolved(resolve))

    def in_check_mode(self) -> App:
        """The same application, for tests: whenever the log of a workflow's session has something new, its body is run
        from the log's beginning, and what is not repeatable there is noticed (`Workflow.apart`)."""
        from onward.programs.workflow import in_check_mode  # an application may have none

        other = copy.copy(self)
        other.programs = {key: in_check_mode(program) for key, program in self.programs.items()}
        return other

    def _changed(self, change: Callable[[Agent], Agent]) -> App:
        other = copy.copy(self)
        other.programs = {
            key: change(program) if isinstance(program, Agent) else program for key, program in self.programs.items()
        }
        return other

    def supply(self) -> Supply:
        """What gives this application's tools their resources and secrets, in one process."""
        from onward.programs.supply import ProcessSupply  # asyncio: an application is declared without it

        return ProcessSupply(self._resources, self._secrets)


def _registered(programs: Any) -> dict[tuple[str, str], Program]:
    known: dict[tuple[str, str], Program] = {}
    for index, program in enumerate(programs):
        if not callable(getattr(program, "decide", None)) or not isinstance(getattr(program, "name", None), str):
            raise BadInput(f"app: programs[{index}] is no program (an Agent, or a @workflow): {program!r}")
        key = (program.name, program.version)
        if key in known:
            raise BadInput(f"app: version {key[1]!r} of program {key[0]} is there twice; give one another version=")
        known[key] = program
    if not known:
        raise BadInput("app: programs is empty; an application runs at least one program")
    return known


def _checked_webhooks(webhooks: Any, programs: Sequence[str]) -> tuple[Webhook, ...]:
    """Raises BadInput."""
    if not isinstance(webhooks, list | tuple) or not all(isinstance(hook, Webhook) for hook in webhooks):
        raise BadInput("app: webhooks is a list of Webhook(...)")
    names = set[str]()
    for hook in webhooks:
        if hook.name in names:
            raise BadInput(f"app: there are two webhooks {hook.name}; give one another name=")
        names.add(hook.name)
        for program in hook.programs:
            if program not in programs:
                known = ", ".join(programs)
                raise BadInput(f"app: webhook {hook.name}: programs: there is no {program!r}; there are {known}")
    return tuple(webhooks)


def _found(listed: Programs) -> dict[tuple[str, str], Program]:
    """The agents that listed ones ask or hand over to, and theirs, unless they are listed too. Raises BadInput."""
    known, found = dict(listed), dict[tuple[str, str], Program]()
    waiting = list(listed.values())
    while waiting:
        for agent in getattr(waiting.pop(0), "team", ()):
            key = (agent.name, agent.version)
            if key not in known:
                known[key] = found[key] = agent
                waiting.append(agent)
            elif getattr(known[key], "origin", None) is not agent.origin:
                raise BadInput(f"app: there are two agents {key[0]} of version {key[1]!r}; give one another name")
    return found


# --- finding one -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """What `APP[:PROGRAM]` names. `program` is None where none was named; `directory` is where the application's
    own files are, such as a script for a model."""

    app: App
    program: str | None
    directory: Path


def load_app(text: str) -> App:
    """The application at `FILE.py`, `package.module`, or either with `:attribute`. Raises BadInput."""
    target = load_target(text)
    if target.program is not None:
        raise BadInput(f"{text}: {target.program!r} is a program; an application alone is wanted here")
    return target.app


def load_target(text: str) -> Target:
    """What `APP`, `APP:PROGRAM` or `APP:attribute:PROGRAM` names. Raises BadInput.

    The part after a single colon is an attribute if there is an App under that name, else a program of the default
    application.
    """
    source, *rest = text.split(":")
    if not source or not all(rest) or len(rest) > 2:
        raise BadInput(f"{text!r} names no application; write FILE.py, package.module, or either with :PROGRAM")
    module, directory = _load(source)
    named = isinstance(getattr(module, rest[0], None), App) if rest else False
    attribute = rest[0] if named or len(rest) == 2 else DEFAULT_ATTRIBUTE
    program = rest[-1] if rest and (len(rest) == 2 or not named) else None
    app = _attribute(source, module, attribute, program)
    if program is not None and program not in app.names:
        raise BadInput(f"{source} has no application or program named {program!r}; it runs {', '.join(app.names)}")
    return Target(app, program, directory)


def _attribute(source: str, module: ModuleType, attribute: str, program: str | None) -> App:
    found = getattr(module, attribute, None)
    if isinstance(found, App):
        return found
    if found is not None:
        raise BadInput(f"{source}: {attribute!r} is a {type(found).__name__} and not an App; {_HOW}")
    by_default = program is not None and attribute == DEFAULT_ATTRIBUTE
    looked_for = f"{program!r} and no {attribute}" if by_default else attribute
    raise BadInput(f"{source} has no {looked_for}; {_HOW}")


def _load(source: str) -> tuple[ModuleType, Path]:
    path = Path(source)
    if path.suffix == ".py" or len(path.parts) > 1:
        return _load_file(source, path.resolve())
    with _importable(Path.cwd()), _blaming(source, Path.cwd()):
        _check_module(source)
        module = importlib.import_module(source)
    return module, Path(module.__file__).resolve().parent if module.__file__ else Path.cwd()


def _check_module(source: str) -> None:
    """Tell a module that isn't there from one that fails to import another."""
    package = ""
    for part in source.split("."):
        package = f"{package}.{part}" if package else part
        if importlib.util.find_spec(package) is None:
            raise BadInput(f"there is no module named {package!r} here or among the installed ones; a file ends in .py")


def _load_file(source: str, path: Path) -> tuple[ModuleType, Path]:
    if not path.is_file():
        raise BadInput(f"there is no file {source}")
    name = f"_onward_app_{sha256(str(path))[:8]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{source} is no Python file: its name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where annotations are resolved
    try:
        with _importable(path.parent), _blaming(source, path.parent):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module, path.parent


@contextmanager
def _importable(directory: Path) -> Iterator[None]:
    """Import from this directory first, as for a script; later still, for what a tool imports when it runs."""
    text = str(directory)
    known = text in sys.path
    sys.path.insert(0, text)
    try:
        yield
    finally:
        sys.path.remove(text)
        if not known:
            sys.path.append(text)


@contextmanager
def _blaming(source: str, directory: Path) -> Iterator[None]:
    """Whatever the application's own code raises becomes one line that shows the line of it."""
    try:
        yield
    except (Exception, SystemExit) as exc:
        if isinstance(exc, BadInput) and exc.__traceback__ and _line(exc, directory) is None:
            raise
        where = _line(exc, directory)
        says = str(exc) if isinstance(exc, OnwardError) else f"{type(exc).__name__}: {_message(exc)}"
        raise BadInput(f"{source} can't be loaded: {where + ': ' if where else ''}{says}") from exc


def _message(exc: BaseException) -> str:
    text = exc.msg if isinstance(exc, SyntaxError) else str(exc)
    return (text.splitlines() or [""])[0]


def _line(exc: BaseException, directory: Path) -> str | None:
    """The innermost line of the application's own files that the exception passed through."""
    import linecache
    import traceback

    if isinstance(exc, SyntaxError) and exc.filename and exc.lineno:
        return f"{Path(exc.filename).name}:{exc.lineno}: {(exc.text or '').strip()}"
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(exc.__traceback__)]
    own = [(file, line) for file, line in frames if _is_own(Path(file), directory)]
    if not own:
        return None
    file, line = own[-1]
    return f"{Path(file).name}:{line}: {linecache.getline(file, line).strip()}"


def _is_own(file: Path, directory: Path) -> bool:
    return directory in file.parents and _OURS not in file.parents and "site-packages" not in file.parts
