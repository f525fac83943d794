"""The table of roles: what it says of a caller, and how a wrong one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onward.errors import BadInput, NotAllowed, NotFound
from onward.surfaces.http.roles import EVERYBODY, NOBODY, Roles, Rule

TABLE = Roles.of(
    {
        "lists": {"ops": ["ann@x.org", "@ops.x.org"]},
        "grants": [
            {"who": ["@x.org"], "roles": ["viewer"], "tenants": ["red"]},
            {"who": ["list:ops"], "roles": ["operator"], "tenants": ["red", "blue"]},
            {"who": ["Ben@X.org"], "roles": ["admin"], "tenants": ["*"]},
            {"who": ["cleo"], "roles": ["approver"]},
        ],
    }
)


@pytest.mark.parametrize(
    ("name", "tenant", "roles"),
    [
        ("someone@x.org", "red", {"viewer"}),
        ("SOMEONE@X.ORG", "red", {"viewer"}),
        ("someone@x.org", "blue", set()),
        ("someone@ax.org", "red", set()),
        ("x.org", "red", set()),
        ("@x.org.evil", "red", set()),
        ("someone@x.org@evil.org", "red", set()),
        ("ann@x.org", "red", {"viewer", "operator"}),
        ("dan@ops.x.org", "blue", {"viewer", "operator"}),
        ("ben@x.org", "blue", {"viewer", "operator", "approver", "admin"}),
        ("ben@x.org", "any", {"viewer", "operator", "approver", "admin"}),
        ("cleo", "default", {"viewer", "approver"}),
        ("cleo@x.org", "default", set()),
        ("", "red", set()),
    ],
)
def test_grants_add_up(name: str, tenant: str, roles: set[str]) -> None:
    assert TABLE.rights(name).roles(tenant) == roles


def test_the_tenant_that_is_meant() -> None:
    assert TABLE.rights("someone@x.org").tenant(None) == "red"
    assert TABLE.rights("ann@x.org").tenant("blue") == "blue"
    assert TABLE.rights("ben@x.org").tenant(None) == "default"
    with pytest.raises(NotFound, match="there is no tenant default"):
        TABLE.rights("ann@x.org").tenant(None)
    with pytest.raises(NotFound, match="there is no tenant green"):
        TABLE.rights("ann@x.org").tenant("green")


def test_lists_are_of_what_one_sees() -> None:
    assert TABLE.rights("ann@x.org").many(None) == ("blue", "red")
    assert TABLE.rights("ann@x.org").many("red") == ("red",)
    assert TABLE.rights("ben@x.org").many(None) is None


def test_without_a_table_nobody_may_do_anything() -> None:
    for ask in (lambda rights: rights.tenant(None), lambda rights: rights.many(None)):
        with pytest.raises(NotAllowed, match="ONWARD_ROLES names who may do what") as caught:
            ask(NOBODY.rights("ann@x.org"))
        assert caught.value.code == "no_role"
    EVERYBODY.rights("ann").check("admin", "any")


def test_a_rule_is_about_what_it_names() -> None:
    assert Rule().fits("t", "p", "tool")
    assert Rule(program="p", tool="tool").fits("t", "p", "tool")
    assert not Rule(program="p", tool="tool").fits("t", "q", "tool")
    assert not Rule(tenant="t", tool="tool").fits("u", "q", "tool")


WRONG: list[tuple[Any, str]] = [
    ([], "Input should be a valid dictionary"),
    ({"grant": []}, "grant: Extra inputs"),
    ({"grants": [{"roles": ["viewer"]}]}, r"grants\.0\.who: Field required; write who = "),
    ({"grants": [{"who": [], "roles": ["viewer"]}]}, r"grants\.0\.who: .+; write who = "),
    ({"grants": [{"who": ["@"], "roles": ["viewer"]}]}, r"grants\.0\.who\.0: .+; write who = "),
    ({"grants": [{"who": ["a b"], "roles": ["viewer"]}]}, r"grants\.0\.who\.0: "),
    ({"grants": [{"who": ["*@x.org"], "roles": ["viewer"]}]}, r"grants\.0\.who\.0: "),
    ({"grants": [{"who": "@x.org", "roles": ["viewer"]}]}, r"grants\.0\.who: .+ valid list"),
    ({"grants": [{"who": ["@x.org"], "roles": ["boss"]}]}, r"grants\.0\.roles\.0: .+; write roles = "),
    ({"grants": [{"who": ["@x.org"], "roles": ["viewer"], "tenants": ["a/b"]}]}, r"tenants\.0: .+; write tenants = "),
    ({"grants": [{"who": ["list:ops"], "roles": ["viewer"]}]}, r"grants\.0\.who: there is no list:ops"),
    ({"approvals": [{"by": ["list:ops"]}]}, r"approvals\.0\.by: there is no list:ops"),
    ({"approvals": [{"by": []}]}, r"approvals\.0\.by: .+; write by = "),
    ({"approvals": [{"not_requester": "yes"}]}, r"approvals\.0\.not_requester: .+; write not_requester = true"),
    ({"lists": {"ops": ["list:other"]}}, r"lists\.ops\.0: .+; write finance = "),
]


@pytest.mark.parametrize(("doc", "words"), WRONG)
def test_g15_a_wrong_table_is_refused_naming_the_field(doc: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Roles.of(doc)


def test_a_table_is_read_from_either_form(tmp_path: Path) -> None:
    toml, other = tmp_path / "roles.toml", tmp_path / "roles.json"
    toml.write_text('[[grants]]\nwho = ["@x.org"]\nroles = ["viewer"]\n')
    other.write_text('{"grants": [{"who": ["@x.org"], "roles": ["viewer"]}]}')
    assert Roles.read(str(toml)) == Roles.read(str(other))
    for text in ("grants = [", "\xff"):
        toml.write_bytes(text.encode("latin-1"))
        with pytest.raises(BadInput, match=r"^ONWARD_ROLES: .+roles\.toml can't be read as TOML or JSON"):
            Roles.read(str(toml))
    with pytest.raises(BadInput, match=r"^ONWARD_ROLES: .+nowhere\.toml can't be read"):
        Roles.read(str(tmp_path / "nowhere.toml"))
    toml.write_text('[[grants]]\nwho = ["@x.org"]\n')
    with pytest.raises(BadInput, match=r"^ONWARD_ROLES: .+roles\.toml: grants\.0\.roles: Field required"):
        Roles.read(str(toml))
