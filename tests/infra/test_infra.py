"""What a deployment is made of fits together: Terraform, settings, pins, and what stands for it on this machine."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from emulators import cloud
from onward import config
from onward.config import CloudSettings
from onward.surfaces.http.roles import Roles

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
TEXT = "\n".join(file.read_text() for file in sorted(INFRA.glob("*.tf")))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = "onward"
"""The name that a deployment has by default."""


# --- settings ----------------------------------------------------------------------------------------------------

READ = set(re.findall(r"\bONWARD_[A-Z_]+\b", inspect.getsource(CloudSettings) + inspect.getsource(config.CloudPlace)))
GIVEN = set(re.findall(r"\bONWARD_[A-Z_]+\b", (INFRA / "functions.tf").read_text()))
USUAL = {"ONWARD_ISSUERS": "issuers", "ONWARD_CERTS_URL": "certs_url", "ONWARD_IAP_CERTS_URL": "iap_certs_url"}
"""Google's own, unless somebody else's are meant."""


def test_the_functions_are_told_all_that_they_read_and_nothing_else() -> None:
    assert USUAL.keys() == READ - GIVEN
    assert READ >= GIVEN
    assert all(re.search(r"google|gstatic", str(getattr(CloudSettings, field))) for field in USUAL.values())


def test_every_function_of_the_source_is_deployed() -> None:
    source = (ROOT / "functions" / "main.py").read_text()
    entries = set(re.findall(r"@functions_framework\.aio\.http\nasync def (\w+)", source))
    block = re.search(r"  functions = \{\n(.*?)\n  \}\n\n", (INFRA / "functions.tf").read_text(), re.DOTALL)
    assert block
    assert set(re.findall(r"^    (\w+) = \{$", block[1], re.MULTILINE)) == entries == set(cloud.NAMES)


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        ('"google_pubsub_topic" "sessions"', cloud.SESSIONS),
        ('"google_pubsub_topic" "events"', cloud.EVENTS),
        ('"google_pubsub_topic" "dead_letters"', cloud.DEAD_LETTERS),
        ('"google_pubsub_subscription" "advance"', cloud.ADVANCE),
        ('"google_cloud_tasks_queue" "timers"', cloud.QUEUE),
    ],
)
def test_what_is_on_this_machine_is_named_as_it_is_deployed(resource: str, name: str) -> None:
    block = re.search(rf"^resource {resource} {{\n(.*?)^}}", TEXT, re.DOTALL | re.MULTILINE)
    assert block
    named = re.search(r'^  name +=  *"(.*)"$', block[1], re.MULTILINE)
    assert named
    assert named[1].replace("${var.name}", NAME) == name


def test_times_are_those_that_settings_have_by_default() -> None:
    defaults = dict(re.findall(r'^variable "(\w+)" \{.*?^  default += (\S+)$', TEXT, re.DOTALL | re.MULTILINE))
    for name in ("budget", "timeout", "ack_deadline", "lease"):
        assert float(defaults[name]) == getattr(CloudSettings, name)
    assert int(defaults["ack_deadline"]) == cloud.ACK_SECONDS


# --- indexes -----------------------------------------------------------------------------------------------------


def test_the_indexes_are_those_that_the_queries_need() -> None:
    written = _module(INFRA / "firestore_indexes.py")
    assert written.FILE.read_text() == written.text(), "run: python infra/firestore_indexes.py"


# --- who may do what ---------------------------------------------------------------------------------------------

WHOLE = {
    "roles/pubsub.publisher": {"pubsub.topics.publish"},
    "roles/secretmanager.secretAccessor": {"secretmanager.versions.access"},
    "roles/aiplatform.user": set(),
}
"""Roles of Google's that a function is given, with what is in them; the last where agents ask Gemini on Vertex AI."""


def test_functions_have_roles_of_their_own_or_of_one_permission() -> None:
    members = re.findall(r'^resource "(\w+_iam_member)" "(\w+)" \{\n(.*?)^\}', TEXT, re.DOTALL | re.MULTILINE)
    ours = [body for _, _, body in members if "google_service_account.function[" in body]
    roles = {role for body in ours for role in re.findall(r"^  role += (\S+)$", body, re.MULTILINE)}
    custom = {role for role in roles if role.startswith("google_project_iam_custom_role.")}
    assert {role.strip('"') for role in roles - custom} <= WHOLE.keys()
    assert len(ours) >= 6
    granted = {kind for kind, _, body in members if "google_service_account.function[" in body}
    assert granted >= {"google_pubsub_topic_iam_member", "google_storage_bucket_iam_member"}


def test_custom_roles_hold_what_was_recorded_and_nothing_else() -> None:
    form = re.compile(r'^resource "google_project_iam_custom_role" "\w+" \{\n(.*?)^\}', re.DOTALL | re.MULTILINE)
    given = [re.search(r"^  permissions = (.*)$", body, re.MULTILINE) for body in form.findall(TEXT)]
    assert len(given) == 4
    assert all(found and re.search(r"local\.permissions|each\.value\.database", found[1]) for found in given)
    assert not any('"' in found[1] for found in given if found)


def test_nobody_has_a_basic_role() -> None:
    roles = set(re.findall(r'"(roles/[\w.]+)"', TEXT))
    assert not roles & {"roles/owner", "roles/editor", "roles/viewer", "roles/datastore.user", "roles/storage.admin"}
    assert "allUsers" not in re.sub(r'error_message = ".*"', "", TEXT)


# --- what is installed -------------------------------------------------------------------------------------------


def _pins() -> dict[str, Version]:
    lines = (ROOT / "functions" / "requirements.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"==[\w.!+]+", str(pin.specifier)) and not pin.url for pin in pins)
    return {canonicalize_name(pin.name): Version(str(pin.specifier)[2:]) for pin in pins}


def _direct() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    framework = [each for each in extras["dev"] if each.startswith("functions-framework")]
    listed = [*PROJECT["dependencies"], *extras["api"], *extras["gcp"], *extras["gemini"], *framework]
    return [Requirement(each) for each in listed]


def test_what_is_asked_for_by_name_is_pinned_within_its_bounds() -> None:
    pins = _pins()
    assert [str(each) for each in _direct() if pins[canonicalize_name(each.name)] not in each.specifier] == []


def test_pins_are_grouped_and_say_for_which_python() -> None:
    text = (ROOT / "functions" / "requirements.txt").read_text()
    first, _, rest = text.partition("# what those need\n")
    assert {canonicalize_name(each.name) for each in _direct()} == {
        line.split("==")[0] for line in first.splitlines() if "==" in line
    }
    assert rest.count("==") == len(rest.splitlines()) > 40
    version = re.search(r"for Python 3\.(\d+)", text)
    assert version
    assert f'"python3{version[1]}"' in TEXT


# --- samples -----------------------------------------------------------------------------------------------------


def _module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sample_tables_of_roles_can_be_read() -> None:
    tables = [*ROOT.glob("infra/**/*.toml"), *ROOT.glob("emulators/*.toml")]
    assert tables
    for table in tables:
        assert Roles.read(str(table))


def test_permissions_are_of_the_functions_that_there_are() -> None:
    assert set(json.loads((INFRA / "permissions.json").read_text())) == set(cloud.NAMES)
