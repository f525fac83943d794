"""Writes the reference from the library itself. `make docs` runs it, and a test fails where a page is out of date.

What is rendered depends on the source alone: annotations as they are written, defaults as one would write them.
"""

from __future__ import annotations

import inspect
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from describe import NOTE, Page, alias, declared, fenced, own_doc, prose

import onward
import onward.config
import onward.errors
import onward.evals
import onward.testing
from onward.core import events, signals
from onward.errors import OnwardError
from onward.surfaces import cli
from onward.surfaces.answers import exit_code
from onward.surfaces.http.app import openapi

GROUPS = {
    "onward.programs": "Programs",
    "onward.adapters": "Programs",
    "onward.programs.approvals": "Tools",
    "onward.programs.injection": "Tools",
    "onward.programs.timers": "Tools",
    "onward.programs.tools": "Tools",
    "onward.core.bounds": "Tools",
    "onward.core.outcomes": "Tools",
    "onward.core.retry": "Tools",
    "onward.core": "Values",
    "onward.runtime": "Running",
    "onward.errors": "Errors",
}
"""The group of public names by the module where they live; the longest beginning of its name counts."""

PUBLIC = {(module, name) for name, module in onward._HOME.items()}


# --- the library -----------------------------------------------------------------------------------------------


def library() -> str:
    page = Page("The library", "Everything that `from onward import ...` offers.")
    page.add(*(f"- **{group}**: {', '.join(_link(name) for name in names)}" for group, names in _grouped()))
    for group, names in _grouped():
        page.add(f"## {group}")
        for name in names:
            _public(page, name)
    page.types(but=PUBLIC | {(events.__name__, "AnyBody")}, whole={"Tool"})
    return page.text


def _link(name: str) -> str:
    return f"[`{name}`](#{name.lower()})"


def _grouped() -> Iterator[tuple[str, list[str]]]:
    """The groups in their order. Every public name has one."""
    homes = {name: _group(onward._HOME[name]) for name in onward.__all__}
    for group in dict.fromkeys(GROUPS.values()):
        yield group, [name for name, home in homes.items() if home == group]


def _group(module: str) -> str:
    fitting = [start for start in GROUPS if module.startswith(start)]
    assert fitting, f"docs/reference/generate.py: GROUPS has no place for the names of {module}"
    return GROUPS[max(fitting, key=len)]


def _public(page: Page, name: str) -> None:
    page.add(f"### {name}")
    found = getattr(onward, name)
    if isinstance(found, type):
        page.cls(found)
    elif inspect.isroutine(inspect.unwrap(found)):
        page.function(inspect.unwrap(found))
    else:
        page.add(alias(onward._HOME[name], name))


# --- events and signals ----------------------------------------------------------------------------------------


def vocabulary() -> str:
    page = Page("Events", own_doc(events))
    page.add("Every kind is a class of `onward.core.events`. A field without a default is always there.")
    page.add("## The envelope")
    page.cls(events.Event)
    for group, bodies in _groups_of_events():
        page.add(f"## {group}")
        for body in bodies:
            _event(page, body)
    page.types(but={(events.__name__, name) for name in ["AnyBody", *map(_name, events.BODIES.values())]})
    return page.text


def _groups_of_events() -> Iterator[tuple[str, list[type[events.Body]]]]:
    """The kinds in the order, and under the headings, of their module."""
    named = {_name(body): body for body in events.BODIES.values()}
    for section in inspect.getsource(events).split("\n# --- ")[1:]:
        bodies = [named[name] for name in re.findall(r"^class (\w+)\(", section, re.M) if name in named]
        yield section.split(" ---")[0].capitalize(), bodies


def _name(found: type) -> str:
    return found.__name__


def _event(page: Page, body: type[events.Body]) -> None:
    page.add(f"### {body.model_fields['kind'].default}")
    shape = f", shape {body.schema_version}" if body.schema_version > 1 else ""
    page.add(f"`{_name(body)}`{shape}. {prose(own_doc(body))}".strip())
    page.fields(body, private=body.private, but={"kind"})


def from_outside() -> str:
    page = Page("Signals", own_doc(signals))
    page.add("A signal has a kind, and a body of these fields. A body of another form is refused, naming the field.")
    page.add("", "## Kinds")
    for kind, body in signals.BODIES.items():
        page.add(f"### {kind}")
        page.add(prose(own_doc(body)))
        page.fields(body)
    page.add("## How one is filed")
    for function in (signals.filed_as, signals.parse):
        page.function(function)
    page.add(f"An absorbed signal makes a repeat of it harmless for {signals.KEPT_DAYS} days.")
    page.types()
    return page.text


# --- errors and settings ---------------------------------------------------------------------------------------


def errors() -> str:
    about, tree = own_doc(onward.errors).split("\n\n", 1)
    page = Page("Errors", f"{about} They are classes of `onward.errors`.")
    page.add(fenced(tree, "text"))
    page.add("`code` is the same in logs, on the command line and in Python. `exit` is what a command ends with.", "")
    page.add("| error | code | exit | |", "|---|---|---|---|", *_rows(OnwardError))
    page.add("## With more than a message")
    for error in _descendants(OnwardError):
        if "__init__" in vars(error):
            page.function(error.__init__, named=error.__name__, doc=False)
    return page.text


def _rows(root: type[OnwardError]) -> Iterator[str]:
    for error in _descendants(root):
        ending, says = exit_code(error.__new__(error)), " ".join(prose(own_doc(error)).split()).replace("|", "&#124;")
        yield f"| `{error.__name__}` | `{error.code}` | {ending} | {says} |"


def _descendants(error: type[OnwardError]) -> Iterator[type[OnwardError]]:
    yield error
    for child in error.__subclasses__():
        if child.__module__ == onward.errors.__name__:
            yield from _descendants(child)


def settings() -> str:
    page = Page("Settings", own_doc(onward.config))
    for found in declared(onward.config):
        page.add(f"## {found.__name__}")
        page.add(*_variables(found))
        _class_or_function(page, found)
    return page.text


def _variables(found: Any) -> list[str]:
    read = r"""env\)?\.(?:get|given|number|url|emails)\(\s*['"](\w+)"""
    names = dict.fromkeys(re.findall(read, inspect.getsource(found)))
    return [f"Read here: {', '.join(f'`{name}`' for name in names)}."] if names else []


# --- testing and the command line ------------------------------------------------------------------------------


def testing() -> str:
    page = Page("Testing", "What ships for tests of your own: `onward.testing`.")
    found = [import_module(info.name) for info in pkgutil.iter_modules(onward.testing.__path__, "onward.testing.")]
    modules = [module for module in (onward.testing, *found) if declared(module)]
    for module in modules:
        _module(page, module)
    told = {(found.__module__, found.__name__) for module in modules for found in declared(module)}
    page.types(but=PUBLIC | told, deep=False)
    return page.text


def _module(page: Page, module: ModuleType) -> None:
    page.add(f"## {module.__name__}", "", prose(own_doc(module)))
    for found in declared(module):
        page.add(f"### {found.__name__}")
        _class_or_function(page, found, made="Contract" not in found.__name__)


def _class_or_function(page: Page, found: Any, made: bool = True) -> None:
    if isinstance(found, type):
        page.cls(found, made)
    else:
        page.function(found)


def suites() -> str:
    page = Page("Suites", own_doc(onward.evals))
    found = [getattr(onward.evals, name) for name in onward.evals.__all__]
    for each in found:
        page.add(f"## {each.__name__}")
        _class_or_function(page, each)
    page.types(but=PUBLIC | {(each.__module__, each.__name__) for each in found}, deep=False)
    return page.text


def commands() -> str:
    page = Page("The command line", "Every command answers `--help` too.")
    page.add(*_command(cli.onward, "onward", 2))
    return page.text


def _command(command: click.Command, path: str, level: int) -> Iterator[str]:
    words = [word for param in command.params if (word := _usage(param))]
    group = isinstance(command, click.Group)
    yield from (f"{'#' * level} {path}", "", prose(inspect.cleandoc(command.help or "").replace("\b", "")), "")
    yield from (fenced(" ".join([path, "[OPTIONS]", *words, *(["COMMAND"] if group else [])]), "text"), "")
    options = [_option(param) for param in command.params if isinstance(param, click.Option) and not param.hidden]
    yield from (*options, *([""] if options else []))
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            if not child.hidden:
                yield from _command(child, f"{path} {name}", level + 1 if level < 3 else level)


def _usage(param: click.Parameter) -> str:
    if not isinstance(param, click.Argument):
        return ""
    name = (param.metavar or param.name or "").upper() + ("..." if param.nargs == -1 else "")
    return name if param.required else f"[{name}]"


def _option(option: click.Option) -> str:
    flag = option.is_flag or option.count
    words = ", ".join((*option.opts, *option.secondary_opts)) + ("" if flag else f" {_value(option)}")
    shown = option.show_default is True and option.default is not None
    default = f" [default: {option.default}]" if shown else ""
    return f"- `{words}`: {prose(' '.join((option.help or '').split()))}{default}"


def _value(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return option.metavar or option.type.name.upper().removesuffix(" RANGE")


# --- all of it -------------------------------------------------------------------------------------------------

PAGES: dict[str, Callable[[], str]] = {
    "library.md": library,
    "events.md": vocabulary,
    "signals.md": from_outside,
    "errors.md": errors,
    "cli.md": commands,
    "settings.md": settings,
    "testing.md": testing,
    "suites.md": suites,
}


def write(directory: Path) -> None:
    """Write every page anew, and remove those of ours that are none any more."""
    for old in directory.glob("*.md"):
        if old.name not in PAGES and old.read_text(encoding="utf-8").startswith(NOTE):
            old.unlink()
    for name, make in PAGES.items():
        (directory / name).write_text(make(), encoding="utf-8")
    described = json.dumps(openapi(), indent=1, ensure_ascii=False)
    (directory / "openapi.json").write_text(f"{described}\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
