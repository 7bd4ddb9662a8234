# SPDX-License-Identifier: Apache-2.0
"""The definition of TapConfig: what the document shows is accepted, what makes no sense is not, and it is structural."""
import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CRD = yaml.safe_load((ROOT / "deploy/base/tapconfig.yaml").read_text())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]


def documented():
    text = (ROOT / "docs/tapconfig.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.S | re.M)
    return [d for block in blocks for d in yaml.safe_load_all(block) if d and d.get("kind") == "TapConfig"]


def errors(thing):
    jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is missing")
    return [e.message for e in jsonschema.Draft4Validator(SCHEMA).iter_errors(thing)]


def with_spec(spec):
    return {"apiVersion": "tapeloop.dev/v1alpha1", "kind": "TapConfig", "metadata": {"name": "a", "namespace": "b"}, "spec": spec}


def test_it_is_the_resource_that_the_daemons_ask_for():
    names = CRD["spec"]["names"]
    assert CRD["metadata"]["name"] == f"{names['plural']}.{CRD['spec']['group']}"
    path = f'"/apis/{CRD["spec"]["group"]}/{VERSION["name"]}/{names["plural"]}"'
    assert path in (ROOT / "daemon/tapkeeper.c").read_text()
    assert CRD["spec"]["scope"] == "Namespaced" and VERSION["subresources"] == {"status": {}}


def test_the_document_has_examples():
    assert len(documented()) >= 3


@pytest.mark.parametrize("thing", documented(), ids=lambda t: t["metadata"]["name"])
def test_what_the_document_shows_is_accepted(thing):
    assert errors(thing) == []
    assert thing["apiVersion"] == "tapeloop.dev/v1alpha1" and thing["metadata"]["namespace"]


@pytest.mark.parametrize("spec", [
    None, [], {"match": "failed()"}, {"match": []}, {"match": [""]}, {"match": [7]}, {"match": ["x"] * 17},
    {"select": {"matchLabels": {"app": 7}}}, {"select": {"matchExpressions": [{"key": "app", "operator": "Is"}]}},
    {"select": {"matchExpressions": [{"operator": "Exists"}]}}, {"sample": {"oneIn": 0}}, {"sample": {"oneIn": "10"}},
    {"sample": {"ratePerSecond": -1}}, {"keep": {"maxAge": 7}}, {"redact": {"headers": "x-account"}}, {"redact": {"params": [""]}},
    {"redact": {"headers": ["x" * 65]}},
], ids=str)
def test_what_makes_no_sense_is_not(spec):
    assert errors(with_spec(spec))


def test_an_object_without_a_spec_is_not():
    assert errors({"metadata": {"name": "a"}})


def test_a_misspelt_field_reaches_the_daemons():
    """They refuse it in the status; an API server that pruned it would hide it."""
    spec = SCHEMA["properties"]["spec"]
    for where in (spec, *(spec["properties"][p] for p in ("select", "sample", "keep", "redact"))):
        assert where["x-kubernetes-preserve-unknown-fields"] is True


def schemas(node):
    yield node
    for child in node.get("properties", {}).values():
        yield from schemas(child)
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from schemas(node[key])


def test_the_schema_is_structural():
    for node in schemas(SCHEMA):
        assert node["type"] in ("object", "array", "string", "integer", "boolean")
        assert (node["type"] == "array") == ("items" in node)
        assert not node.keys() & {"$ref", "oneOf", "anyOf", "allOf", "not", "definitions", "uniqueItems"}


def test_limits_are_those_of_the_daemons():
    text = "".join((ROOT / f).read_text() for f in ("kube/tapspec.h", "kube/selector.h", "kube/tapspec.c"))
    limit = lambda name: int(re.search(rf"#define {name}\s+(\d+)", text).group(1))
    spec = SCHEMA["properties"]["spec"]["properties"]
    assert spec["match"]["maxItems"] == limit("TAPSPEC_MATCH_MAX") and spec["match"]["items"]["maxLength"] == limit("TAPSPEC_MATCH_BYTES")
    assert spec["redact"]["properties"]["headers"]["maxItems"] == limit("TAPSPEC_NAMES_MAX")
    assert spec["redact"]["properties"]["params"]["items"]["maxLength"] == limit("TAPSPEC_NAME_BYTES")
    assert spec["select"]["properties"]["matchExpressions"]["maxItems"] == limit("SELECTOR_TERMS_MAX")
    assert spec["sample"]["properties"]["oneIn"]["maximum"] == limit("ONE_IN_MAX")
    members = re.findall(r'\{"(\w+)", read_', (ROOT / "kube/tapspec.c").read_text())
    said = set(spec) | {name for part in ("sample", "keep", "redact") for name in spec[part]["properties"]}
    assert said == set(members) - {"share"}  # recognised only to say why it cannot be
