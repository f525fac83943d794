"""Applications: versions side by side, and how one is found by its name."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from onward.adapters.local.scripted import ScriptedModel
from onward.errors import BadInput
from onward.programs import app as module
from onward.programs.agent import Agent
from onward.programs.app import App, load_app, load_target

MODEL = ScriptedModel([{"text": "Hello"}])


def agent(name: str, version: str = "1", model: object = MODEL) -> Agent:
    return Agent(name, model=model, version=version)  # type: ignore[arg-type]


# --- programs --------------------------------------------------------------------------------------------------


def test_the_newest_version_is_the_one_registered_last() -> None:
    old, new, other = agent("desk", "10"), agent("desk", "2"), agent("post")
    app = App(programs=[old, new, other])
    assert app.names == ("desk", "post")
    assert app.newest("desk") is new
    assert app.program("desk", "10") is old
    assert list(app.programs) == [("desk", "10"), ("desk", "2"), ("post", "1")]


def test_what_is_not_there_is_none() -> None:
    app = App([agent("desk")])
    assert app.program("desk", "2") is None
    assert app.newest("post") is None


def test_one_version_is_there_once() -> None:
    with pytest.raises(BadInput, match="version '1' of program desk is there twice"):
        App([agent("desk"), agent("desk")])


def test_an_application_runs_something() -> None:
    with pytest.raises(BadInput, match="programs is empty"):
        App([])
    with pytest.raises(BadInput, match=r"programs\[0\] is no program"):
        App(["desk"])  # type: ignore[list-item]


def test_a_single_program_needs_no_name() -> None:
    new = agent("desk", "2")
    assert App([agent("desk"), new]).choose() is new
    with pytest.raises(BadInput, match="which program\\? This application has desk, post; write APP:PROGRAM"):
        App([agent("desk"), agent("post")]).choose()
    with pytest.raises(BadInput, match="there is no program 'past'; this application has desk"):
        App([agent("desk")]).choose("past")


# --- models ----------------------------------------------------------------------------------------------------


def test_one_model_for_all_leaves_the_application_as_it_was() -> None:
    app = App([agent("desk", model="big"), agent("desk", "2")])
    other = ScriptedModel([])
    assert [program.model for program in app.with_model(other).programs.values()] == [other, other]  # type: ignore[attr-defined]
    assert app.choose("desk").model is MODEL  # type: ignore[attr-defined]


def test_names_of_models_are_resolved_and_unknown_ones_stay_names() -> None:
    app = App([agent("desk", model="mine"), agent("post", model="theirs"), agent("till")])
    resolved = app.resolved({"mine": MODEL}.get)
    assert [program.model for program in resolved.programs.values()] == [MODEL, "theirs", MODEL]  # type: ignore[attr-defined]


# --- loading ---------------------------------------------------------------------------------------------------

DESK = """
from onward import Agent, App, ScriptedModel
from shelf import LABEL

desk = Agent("refund-desk", model=ScriptedModel([]), instructions=LABEL)
app = App(programs=[desk, Agent("post", model=ScriptedModel([]))])
other = App(programs=[desk])
number = 3
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with an application, as the current one; imports and path are put back."""
    (tmp_path / "desk.py").write_text(DESK)
    (tmp_path / "shelf.py").write_text("LABEL = 'shelf'\ndef lazily():\n    import drawer\n    return drawer.LABEL\n")
    (tmp_path / "drawer.py").write_text("LABEL = 'drawer'\n")
    monkeypatch.chdir(tmp_path)
    modules, path = set(sys.modules), list(sys.path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "names", "program"),
    [
        ("desk.py", ("refund-desk", "post"), None),
        ("desk", ("refund-desk", "post"), None),
        ("./desk.py", ("refund-desk", "post"), None),
        ("desk.py:app", ("refund-desk", "post"), None),
        ("desk.py:other", ("refund-desk",), None),
        ("desk.py:post", ("refund-desk", "post"), "post"),
        ("desk:refund-desk", ("refund-desk", "post"), "refund-desk"),
        ("desk.py:other:refund-desk", ("refund-desk",), "refund-desk"),
    ],
)
def test_a_target_names_application_and_program(
    place: Path, text: str, names: tuple[str, ...], program: str | None
) -> None:
    target = load_target(text)
    assert (target.app.names, target.program, target.directory) == (names, program, place)


def test_an_attribute_wins_over_a_program_of_that_name(place: Path) -> None:
    (place / "desk.py").write_text(DESK + 'post = App(programs=[Agent("letters", model=ScriptedModel([]))])\n')
    target = load_target("desk.py:post")
    assert (target.app.names, target.program) == (("letters",), None)


def test_a_module_in_a_package(place: Path) -> None:
    (place / "office").mkdir()
    (place / "office" / "__init__.py").write_text("")
    (place / "office" / "front.py").write_text(DESK)
    assert load_app("office.front").names == ("refund-desk", "post")
    assert load_target("office.front:other").directory == place / "office"


def test_files_of_the_same_name_do_not_mix(place: Path) -> None:
    (place / "sub").mkdir()
    (place / "sub" / "desk.py").write_text("from onward import *\n" + DESK.replace("refund-desk", "other-desk"))
    assert load_app("desk.py").names == ("refund-desk", "post")
    assert load_app("sub/desk.py").names == ("other-desk", "post")
    loaded = [name for name in sys.modules if str(place) in str(getattr(sys.modules[name], "__file__", ""))]
    assert len([name for name in loaded if name.endswith("_desk")]) == 2
    assert "desk" not in loaded


def test_its_directory_stays_importable_but_hides_nothing(place: Path) -> None:
    before = list(sys.path)
    load_app(str(place / "desk.py"))
    assert sys.path == [*before, str(place)]
    assert sys.modules["shelf"].lazily() == "drawer"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nothing.py", "there is no file nothing.py"),
        ("sub/nothing.py", "there is no file sub/nothing.py"),
        ("nothing_at_all", "there is no module named 'nothing_at_all'"),
        ("desk.py:nobody", "desk.py has no application or program named 'nobody'; it runs refund-desk, post"),
        ("desk.py:number", "desk.py has no application or program named 'number'"),
        ("desk.py:number:post", "desk.py: 'number' is a int and not an App"),
        ("desk.py:none:post", "desk.py has no none; write: app = App"),
        ("shelf.py", r"shelf.py has no app; write: app = App\(programs="),
        ("shelf.py:post", "shelf.py has no 'post' and no app"),
        ("", "'' names no application"),
        (":post", "':post' names no application"),
        ("desk.py:", "'desk.py:' names no application"),
        ("desk.py:a:b:c", "names no application"),
    ],
)
def test_a_target_that_is_not_there_is_told_in_words(place: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        load_target(text)


def test_where_an_application_is_wanted_a_program_is_refused(place: Path) -> None:
    with pytest.raises(BadInput, match="'post' is a program"):
        load_app("desk.py:post")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            "x = 1\ny = x / 0\n",
            "broken.py can't be loaded: broken.py:2: y = x / 0: ZeroDivisionError: division by zero",
        ),
        ("x = (\n", "broken.py can't be loaded: broken.py:1: x = (: SyntaxError: '(' was never closed"),
        (
            "import no_such_thing\n",
            "broken.py:1: import no_such_thing: ModuleNotFoundError: No module named 'no_such_thing'",
        ),
        ("raise SystemExit(3)\n", "broken.py:1: raise SystemExit(3): SystemExit: 3"),
        ("from onward import tool\n\n@tool\ndef f(x):\n    'Do.'\n", "tool f: parameter x has no type annotation"),
        ("import half\n", "broken.py can't be loaded: half.py:2: 1 / 0: ZeroDivisionError: division by zero"),
    ],
)
@pytest.mark.parametrize("target", ["broken.py", "broken"])
def test_an_application_that_fails_shows_the_line(place: Path, source: str, says: str, target: str) -> None:
    (place / "broken.py").write_text(source)
    (place / "half.py").write_text("x = 1\n1 / 0\n")
    with pytest.raises(BadInput) as exc:
        load_target(target)
    assert says.removeprefix("broken.py can't be loaded: ") in str(exc.value)
    assert str(exc.value).startswith(f"{target} can't be loaded: ")
    assert "\n" not in str(exc.value)
    assert not [name for name in sys.modules if "broken" in name and not name.startswith("tests.")]


def test_the_line_shown_is_never_the_librarys_or_an_installed_packages() -> None:
    root = Path("/")
    assert module._is_own(root / "home" / "desk.py", root)
    assert not module._is_own(Path(module.__file__), root)
    assert not module._is_own(root / "venv" / "site-packages" / "x.py", root)
