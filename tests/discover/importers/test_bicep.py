# SPDX-License-Identifier: Apache-2.0
"""Bicep across files: what modules give back, what is declared elsewhere, which files are deployed, with which parameters."""

from __future__ import annotations

from bastide.discover.importers.bicep import Bicep
from bastide.discover.interface import Tree
from bastide.discover.model import Reading, Resource, State


def read(files: dict[str, str]) -> Reading:
    """What the templates among some files declare."""
    paths = tuple(sorted(files))
    return Bicep().read(Tree(paths, files.get, dict.fromkeys(files, 1)), [p for p in paths if p.endswith(".bicep")])


def named(reading: Reading) -> dict[str, Resource]:
    """The resources by name."""
    return {r.name: r for r in reading.resources}


MODEL = """\
param name string
param deployments array = []
resource account 'Microsoft.CognitiveServices/accounts@2024-10-01' = { name: name, kind: 'OpenAI' }
resource model 'Microsoft.CognitiveServices/accounts/deployments@2024-10-01' = [for (d, i) in deployments: {
  parent: account
  name: d.name
  properties: { model: d.model, raiPolicyName: d.?filter, order: i }
}]
output endpoint string = account.properties.endpoint
"""
MAIN = """\
param chatModel string
module ai 'lib/ai.bicep' = {
  name: 'ai'
  params: { name: 'x', deployments: [ { name: 'chat', model: chatModel }, { name: 'embed', model: 'e-1', filter: 'f' } ] }
}
module front 'lib/app.bicep' = { name: 'f', params: { env: union([ { name: 'A', value: 'a' } ], [ { name: 'URL', value: ai.outputs.endpoint } ]) } }
module back 'lib/app.bicep' = { name: 'b', params: { env: [] } }
"""
APP = """\
param env array
resource app 'Microsoft.App/containerApps@2024-03-01' = { name: 'a', properties: { env: env } }
"""


def test_outputs_lead_to_the_resource() -> None:
    """What a module gives back refers to what it declares; functions keep what they are given."""
    found = named(read({"main.bicep": MAIN, "lib/ai.bicep": MODEL, "lib/app.bicep": APP}))
    assert found["front-app"].find("properties.env.value")[1].refs == ("main.bicep: ai: account",)


def test_rounds_of_a_loop_are_told_apart() -> None:
    """Each element of a known list is a resource with an id of its own; what it doesn't say is absent, not unknown."""
    found = read({"main.bicep": MAIN, "lib/ai.bicep": MODEL, "lib/app.bicep": APP})
    chat, embed = (named(found)[f"model[{key}]"] for key in ("chat", "embed"))
    assert chat.id != embed.id
    assert [v.data for v in chat.find("properties.raiPolicyName")] == [None]
    assert embed.find("properties.order")[0].data == 1


def test_a_shared_module_is_named_by_its_caller() -> None:
    """Two calls of one file make two things that can be told apart."""
    found = named(read({"main.bicep": MAIN, "lib/ai.bicep": MODEL, "lib/app.bicep": APP}))
    assert {"front-app", "back-app", "account"} <= set(found)


def test_modules_that_nothing_deploys() -> None:
    """A library below a deployment is no deployment; what has parameters of its own, or asks for none, is."""
    unused = "param name string\nresource s 'Microsoft.Search/searchServices@2024-06-01' = { name: name }\n"
    files = {"main.bicep": MAIN, "lib/ai.bicep": MODEL, "lib/app.bicep": APP, "lib/search.bicep": unused}
    found = read(files)
    assert "s" not in named(found)
    assert [(str(p.place), p.hides) for p in found.problems] == [("lib/search.bicep:1", False)]
    assert "s" in named(read({**files, "lib/search.parameters.json": '{"parameters": {"name": {"value": "x"}}}'}))
    assert "s" in named(read({**files, "lib/search.bicep": unused.replace("string\n", "string = 'x'\n")}))
    assert "s" in named(read({"search.bicep": unused, "lib/ai.bicep": MODEL}))


def test_parameters_beside_a_template() -> None:
    """Their values count; a default of the environment is conditional, without one it is unknown."""
    files = {"main.bicep": MAIN, "lib/ai.bicep": MODEL, "lib/app.bicep": APP}
    cases = [
        ("main.parameters.json", '{"parameters": {"chatModel": {"value": "m-1"}}}', "m-1", State.KNOWN),
        ("main.parameters.json", '{"parameters": {"chatModel": {"value": "${M=m-2}"}}}', "m-2", State.CONDITIONAL),
        ("main.parameters.json", '{"parameters": {"chatModel": {"value": "${M}"}}}', None, State.UNKNOWN),
        ("main.bicepparam", "using './main.bicep'\nparam chatModel = 'm-3'\n", "m-3", State.KNOWN),
        ("main.bicepparam", "param chatModel = readEnvironmentVariable('M', 'm-4')\n", "m-4", State.CONDITIONAL),
        ("main.parameters.json", "not JSON", None, State.UNKNOWN),
    ]
    for name, text, expected, state in cases:
        (model,) = named(read({**files, name: text}))["model[chat]"].find("properties.model")
        assert (model.data, model.state) == (expected, state), text


EXISTING = """\
var id = 'id-${uniqueString(resourceGroup().id)}'
module who 'who.bicep' = { name: 'w', params: { name: id } }
module use 'use.bicep' = { name: 'u', params: { name: id } }
"""
WHO = "param name string\nresource person 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = { name: name }\n"
USE = """\
param name string
resource who 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = if (!empty(name)) { name: name }
resource app 'Microsoft.App/containerApps@2024-03-01' = { name: 'a', identity: { userAssignedIdentities: { '${who.id}': {} } } }
"""


def test_existing_is_what_is_declared_under_that_name() -> None:
    """Also where the name isn't known: the same expression of the same names is the same name. A key keeps what it is made from."""
    found = named(read({"main.bicep": EXISTING, "who.bicep": WHO, "use.bicep": USE}))
    (key,) = found["app"].find("identity.userAssignedIdentities.*")
    assert key.refs == ("main.bicep: who: person",)


def test_modules_of_a_registry() -> None:
    """They are known by their path, and have what they are given as attributes."""
    text = "module s 'br/public:avm/res/search/search-service:0.9.1' = { name: 'm', params: { name: 'x' } }\n"
    (found,) = read({"main.bicep": text}).resources
    assert (found.type, found.find("name")[0].data) == ("module/avm/res/search/search-service", "x")


def test_text_beside_a_template() -> None:
    """A file that a template loads is read; none outside of the folder."""
    text = "var p = loadTextContent('policy.xml')\nresource a 'A/b@1' = { name: 'a', v: p, w: loadTextContent('../../x') }\n"
    (found,) = read({"main.bicep": text, "policy.xml": "<validate-jwt />"}).resources
    assert (found.find("v")[0].data, found.find("w")[0].known) == ("<validate-jwt />", False)


def test_circles_end() -> None:
    """Parameters, outputs and modules that need each other are unknown, and nothing hangs."""
    one = "module b 'b.bicep' = { name: 'b', params: { x: c.outputs.x } }\nmodule c 'b.bicep' = { name: 'c', params: { x: b.outputs.x } }\n"
    two = "param x string = y\nparam y string = x\nresource r 'A/b@1' = { name: x }\noutput x string = x\n"
    found = read({"main.bicep": one, "b.bicep": two})
    assert len(found.resources) == 2
    assert not any(v.known for r in found.resources for v in r.find("name"))
    assert [r.type for r in read({"a.bicep": "module a 'a.bicep' = { name: 'a' }\n"}).resources] == ["module"]


def test_a_list_that_somebody_gives_later() -> None:
    """An empty default of the deployment isn't what will be: there is one of unknown values. Inside, an empty list is one."""
    text = "param given array = []\nresource a 'A/b@1' = [for x in given: { name: x.name }]\n"
    (found,) = read({"main.bicep": text}).resources
    assert (found.name, found.find("name")[0].known) == ("a", False)
    assert read({"main.bicep": "module m 'm.bicep' = { name: 'm' }\n", "m.bicep": text}).resources == ()


def test_comparisons_and_texts_with_holes() -> None:
    """Numbers are compared; a text in which something unknown is put keeps the rest."""
    text = "param log string = ''\nresource a 'A/b@1' = if (length(log) > 0) { name: 'a' }\n"
    assert read({"main.bicep": text}).resources == ()
    hole = (
        "param name string\nresource a 'A/b@1' = { name: 'a', v: replace('<rate-limit id=\"{x}\" />', '{x}', name) }\n"
    )
    (found,) = read({"main.bicep": hole}).resources
    assert (found.find("v")[0].data, found.find("v")[0].state) == ('<rate-limit id="{x}" />', State.CONDITIONAL)
