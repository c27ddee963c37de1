# SPDX-License-Identifier: Apache-2.0
"""What identities of AWS may do, in one form whatever the language: policies of documents, attachments, templates and constructs. Pure.

A role's rights stand in other resources: a policy document, an attached policy, a call of a method. Here they become the policy of the
role (`aws_iam_role_policy`: `role`, `policy.Statement`), so that the catalogue reads one shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from bastide.discover.model import Resource, State, Value, plain_key
from bastide.discover.permissions import unlimited
from bastide.discover.readers.embedded import document
from bastide.discover.types import fits

_POLICY = "aws_iam_role_policy"
_DOCUMENT = "data.aws_iam_policy_document"
_SERVICES: Mapping[str, tuple[str, ...]] = {
    "models": ("bedrock:InvokeModel*", "bedrock:Converse*", "bedrock:Invoke[*]", "bedrock:[*]"),
    "endpoints": ("sagemaker:InvokeEndpoint*",),
    "agents": ("bedrock:InvokeAgent", "bedrock-agentcore:InvokeAgentRuntime*"),
    "knowledge": ("bedrock:Retrieve*",),
}
"""What a statement allows to use, by the name of the statement's part that says so."""
_GRANT = re.compile(r"call/(?:js:)?(?:aws_cdk|aws-cdk-lib|@?cdklabs)\b.*\.grant_?[A-Za-z_]*\Z")
_ADDED = re.compile(
    r"call/(?:js:)?(?:aws_cdk|aws-cdk-lib|@aws-cdk|@?cdklabs)\b.*"
    r"\.(?:add_?to_?(?:task_?)?(?:role_?|principal_?)?policy|add_?managed_?policy|attach_?inline_?policy)\Z",
    re.IGNORECASE,
)
_Index = Mapping[str, Resource]


def with_rights(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources, with rights as policies of their roles, and what is granted as grants."""
    given = tuple(resources)
    index = {r.id: r for r in given}
    serving = {ref for r in given if _ADDED.match(r.type) for ref in _refs(r.find("$on"))}
    for resource in given:
        change = _CHANGES.get(resource.type)
        if change is not None:
            yield from change(resource, index)
        elif _ADDED.match(resource.type):
            yield _added(resource, index)
        elif _GRANT.match(resource.type):
            yield _granted(resource, index)
        elif resource.type in _OWN and not resource.find(_OWN[resource.type][0]):
            first = tuple(_initial(resource, index))
            yield from _with_own_role(resource, first) if first or resource.id in serving else (resource,)
        else:
            yield resource


_OWN: Mapping[str, tuple[str, str]] = {
    "AWS::Lambda::Function": ("role", "lambda.amazonaws.com"),
    "AWS::ECS::TaskDefinition": ("task_role_arn", "ecs-tasks.amazonaws.com"),
    "AWS::StepFunctions::StateMachine": ("role", "states.amazonaws.com"),
}
"""What the CDK makes a role for when none is named: the attribute for it, and who takes it."""


# --- policies -----------------------------------------------------------------------------------------------------------
def _policy(value: Value, index: _Index) -> Value:
    """A policy with the statements that allow something; a document that it names is put in."""
    value = document(value)
    if not isinstance(value.data, Mapping):
        named = next((index[r] for r in value.refs if r in index and index[r].type == _DOCUMENT), None)
        if named is None or value.known:
            return value
        value = replace(named.body, place=named.place)
    given = tuple(e for key in ("Statement",) for v in value.find(key) for e in v.elements())
    statements = tuple(s for e in given if (s := _statement(e)) is not None)
    merged = [v for path in ("source_policy_documents", "override_policy_documents") for v in value.find(path)]
    more = tuple(Value(None, v.place, State.UNKNOWN, v.refs) for v in merged)
    return Value({"Statement": Value(statements + more, value.place)}, value.place)


def _statement(value: Value) -> Value | None:
    """One statement; None when it denies. Terraform's documents call the parts otherwise."""
    if not isinstance(value.data, Mapping):
        return value
    if any(
        (isinstance(v.data, str) and v.data == "Deny") or v.text.upper().endswith(".DENY") for v in value.find("Effect")
    ):
        return None
    parts = {_PARTS.get(plain_key(key), key): v for key, v in value.data.items()}
    principals = parts.pop("principals", None)
    if principals is not None:
        parts["Principal"] = _principals(principals)
    elif "Principal" in parts and isinstance(parts["Principal"].data, Mapping):
        named = {k: replace(v, data=tuple(_named(e) for e in v.elements())) for k, v in parts["Principal"].data.items()}
        parts["Principal"] = replace(parts["Principal"], data=named)
    actions = [str(v.data) for v in value.find("Action") + value.find("actions")]
    for name, wanted in _SERVICES.items():
        if used := [v for v in value.find("Action") + value.find("actions") if fits(str(v.data), wanted)]:
            parts[name] = Value(name, used[0].place)
    if actions and all(fits(a, unlimited()) for a in actions):
        parts = {key: v for key, v in parts.items() if key not in ("Action", "Resource")}
    elif "Resource" in parts:
        resources = parts["Resource"]
        parts["Resource"] = replace(resources, data=tuple(_narrow(v) for v in resources.elements()))
    return replace(value, data=parts)


_PARTS = {"actions": "Action", "resources": "Resource", "action": "Action", "resource": "Resource"}


def _narrow(value: Value) -> Value:
    """A resource of which not all is known but that it is one: `arn:...${x}`, or the attribute of something that is declared."""
    written = value.text.strip("\"'`f ")
    declared = value.refs and not any(r.startswith("var:") for r in value.refs)
    if value.data is None and value.state is State.UNKNOWN and (written.startswith("arn:") or declared):
        return replace(value, data=written or value.refs[0], state=State.CONDITIONAL)
    return value


def _named(service: Value) -> Value:
    """A service of which only the region isn't known: `states.${AWS::Region}.amazonaws.com`."""
    written = service.text.strip("\"'`f ")
    if (
        service.data is None
        and service.state is State.UNKNOWN
        and written.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    ):
        return replace(service, data=written, state=State.CONDITIONAL)
    return service


def _principals(value: Value) -> Value:
    services = tuple(
        v for p in value.elements() if any(t.data == "Service" for t in p.find("type")) for v in p.find("identifiers")
    )
    return Value({"Service": Value(services, value.place)}, value.place)


def _made_policy(id_: str, role: Value, policy: Value, at: Resource) -> Resource:
    body = Value({"role": role, "policy": policy}, at.place)
    return replace(at, id=id_, type=_POLICY, body=body, part_of="", names=())


# --- Terraform ------------------------------------------------------------------------------------------------------------
def _terraform_role(role: Resource, index: _Index) -> Iterator[Resource]:
    yield _changed(
        role, {"assume_role_policy": lambda v: _policy(v, index), "inline_policy": lambda v: _inline(v, index)}
    )


def _inline(value: Value, index: _Index) -> Value:
    policies = tuple(_policy(v, index) for path in ("policy", "PolicyDocument") for v in _whole(value, path))
    return replace(value, data=tuple(Value({"policy": p}, value.place) for p in policies))


def _whole(value: Value, key: str) -> Iterator[Value]:
    """The values under a key of the elements, lists as they are."""
    for element in value.elements():
        if isinstance(element.data, Mapping) and key in element.data:
            yield element.data[key]


def _terraform_policy(policy: Resource, index: _Index) -> Iterator[Resource]:
    yield _changed(_of_user(policy), {"policy": lambda v: _policy(v, index)})


def _of_user(policy: Resource) -> Resource:
    """What a user is given is given as to a role."""
    data = policy.body.data if isinstance(policy.body.data, Mapping) else {}
    if "user" not in data:
        return policy
    body = {"role" if key == "user" else key: value for key, value in data.items()}
    return replace(policy, type=policy.type.replace("_user_", "_role_"), body=replace(policy.body, data=body))


def _attachment(resource: Resource, index: _Index) -> Iterator[Resource]:
    """An attached policy that is declared here is the role's own."""
    resource = _of_user(resource)
    named = [index[r] for v in resource.find("policy_arn") for r in v.refs if r in index]
    policies = [p for r in named if r.type == "aws_iam_policy" for p in _whole(r.body, "policy")]
    roles = [*_whole(resource.body, "role"), *_whole(resource.body, "roles")]
    if policies and roles:
        yield _made_policy(resource.id, roles[0], _policy(policies[0], index), resource)
    else:
        yield resource


def _module_function(function: Resource, index: _Index) -> Iterator[Resource]:
    """The registry's module makes a role of its own, with the policy that it is given."""
    given = tuple(_policy(v, index) for v in _whole(function.body, "policy_json"))
    if function.find("lambda_role") or not given:
        yield function
    else:
        yield from _with_own_role(function, given, index)


# --- templates --------------------------------------------------------------------------------------------------------------
def _template_role(role: Resource, index: _Index) -> Iterator[Resource]:
    """A role of a template or of a construct, of which principals and managed policies are made by calls."""
    body = dict(role.body.data) if isinstance(role.body.data, Mapping) else {}
    for key in [k for k in body if plain_key(k) == "assumerolepolicydocument"]:
        body[key] = _policy(body[key], index)
    for key in [k for k in body if plain_key(k) == "policies"]:
        body["inline_policy"] = _inline(body.pop(key), index)
    for key in [k for k in body if plain_key(k) == "inlinepolicies"]:
        documents = body.pop(key)
        inline = tuple(
            _inlined(v, index) for v in (documents.data.values() if isinstance(documents.data, Mapping) else ())
        )
        body["inline_policy"] = Value(inline, documents.place)
    for key in [k for k in body if plain_key(k) == "assumedby"]:
        services = tuple(_named(v) for v in _texts(body[key], index, 0))
        principal = Value({"Service": Value(services, role.place)}, role.place)
        allowed = Value({"Principal": principal}, role.place)
        body["assume_role_policy"] = Value({"Statement": Value((allowed,), role.place)}, role.place)
    for key in [k for k in body if plain_key(k) == "managedpolicies"]:
        body["managed_policy_arns"] = Value(tuple(_texts(body[key], index, 0)), role.place)
    yield replace(role, body=replace(role.body, data=body))


def _inlined(given: Value, index: _Index) -> Value:
    statements = tuple(_statements(given, index))
    policy = Value({"Statement": Value(statements, given.place)}, given.place) if statements else given
    return Value({"policy": _policy(policy, index)}, given.place)


def _texts(value: Value, index: _Index, depth: int) -> Iterator[Value]:
    """The names that calls were given: `ServicePrincipal('lambda.amazonaws.com')`, `fromAwsManagedPolicyName('X')`."""
    for element in value.elements():
        calls = [index[r] for r in element.refs if r in index and index[r].type.startswith("call/")]
        if isinstance(element.data, str) or not calls or depth > 2:
            yield element
        for call in calls if not isinstance(element.data, str) else ():
            given = call.body.data if isinstance(call.body.data, Mapping) else {}
            for key in sorted(k for k in given if k.isdecimal()):
                yield from (replace(v, place=element.place) for v in _texts(given[key], index, depth + 1))


def _template_policy(resource: Resource, index: _Index) -> Iterator[Resource]:
    roles = [v for key in ("Roles", "Users") for v in _whole(resource.body, key)]
    policies = [*_whole(resource.body, "PolicyDocument")]
    if not policies and (written := [s for v in resource.find("statements") for s in _statements(v, index)]):
        roles = [v for key in ("roles", "users") for v in _whole(resource.body, key)] or roles
        policies = [Value({"Statement": Value(tuple(written), resource.place)}, resource.place)]
    if roles and policies:
        yield _made_policy(resource.id, roles[0], _policy(policies[0], index), resource)
    else:
        yield resource


def _serverless(function: Resource, index: _Index) -> Iterator[Resource]:
    """SAM makes a role of the policies of a function that names none."""
    policies = next(_whole(function.body, "Policies"), None)
    if policies is None or function.find("Role"):
        yield function
    else:
        yield from _with_own_role(function, tuple(policies.elements()), index)
        for number, given in enumerate(policies.elements()):
            # `S3ReadPolicy: {BucketName: ...}` is made from a template: what it names may be used.
            named = [] if _whole_statement(given) or not isinstance(given.data, Mapping) else list(given.leaves())
            for at, (_, what) in enumerate(named):
                if what.refs:
                    yield _use(
                        replace(function, id=f"{function.id} policy {number}.{at}", place=what.place),
                        function.id,
                        what.refs[0],
                    )


def _with_own_role(function: Resource, given: tuple[Value, ...], index: _Index | None = None) -> Iterator[Resource]:
    place = given[0].place if given else function.place
    id_ = f"{function.id} role"
    own = Value(None, function.place, State.UNKNOWN, (id_,))
    attribute, service = _OWN.get(function.type, _OWN["AWS::Lambda::Function"])
    assumed = Value({"Service": Value(service, place)}, place)
    statement = Value((Value({"Principal": assumed}, place),), place)
    inline = tuple(Value({"policy": _policy(v, index or {})}, v.place) for v in given if _whole_statement(v))
    body = {
        "assume_role_policy": Value({"Statement": statement}, place),
        "managed_policy_arns": Value(tuple(v for v in given if isinstance(v.data, str)), place),
        "inline_policy": Value(inline, place),
    }
    yield replace(function, body=replace(function.body, data={**(function.body.data or {}), attribute: own}))
    yield replace(
        function,
        id=id_,
        type="AWS::IAM::Role",
        name=f"{function.name}Role",
        body=Value(body, place),
        place=place,
        names=(),
    )


def _whole_statement(value: Value) -> bool:
    return isinstance(value.data, Mapping) and "Statement" in value.data


# --- constructs ---------------------------------------------------------------------------------------------------------------
def _added(call: Resource, index: _Index) -> Resource:
    """`role.add_to_policy(PolicyStatement(...))`, also with a policy that AWS manages; of a function, its own role's."""
    on = [r for r in _refs(call.find("$on")) if r in index]
    if not on:
        return call
    holder = index[on[0]]
    attribute = _OWN.get(holder.type, ("role",))[0]
    own = [f"{holder.id} role"] if holder.type in _OWN else on
    role = Value(None, call.place, State.UNKNOWN, tuple(_refs(holder.find(attribute)) or own))
    if "managed" in call.type.lower():
        named = [v for v in _texts(given[0], index, 0) if isinstance(v.data, str)] if (given := call.find("0")) else []
        body = {"role": role, "policy_arn": named[0]} if named else {}
        return (
            replace(call, type="aws_iam_role_policy_attachment", body=Value(body, call.place), part_of="")
            if body
            else call
        )
    statements = tuple(s for v in call.find("0") for s in _statements(v, index))
    added = Value({"Statement": Value(statements, call.place)}, call.place)
    return _made_policy(call.id, role, _policy(added, {}), call) if statements else call


def _statements(value: Value, index: _Index, depth: int = 0) -> Iterator[Value]:
    """The statements of what a construct was given: statements, documents, policies."""
    if isinstance(value.data, Mapping) and (value.find("Action") or value.find("actions")):
        yield value
        return
    calls = [index[r] for r in value.refs if r in index] if value.data is None and depth < 4 else []
    for made in calls:
        if ".PolicyStatement" in made.type:
            written = [v for v in _whole(made.body, "0") if v.find("Action")]
            yield from written or [replace(made.body, place=made.place)]
        else:
            inner = [v for key in ("statements", "document") for v in made.find(key)]
            yield from (s for v in inner for s in _statements(v, index, depth + 1))


def _initial(function: Resource, index: _Index) -> Iterator[Value]:
    """`initialPolicy` of a function."""
    statements = tuple(s for v in function.find("initial_policy") for s in _statements(v, index))
    if statements:
        yield Value({"Statement": Value(statements, statements[0].place)}, statements[0].place)


def _granted(call: Resource, index: _Index) -> Resource:
    """`bucket.grant_read(function)`: what may be reached, and by whom."""
    whom = [r for r in _refs(call.find("0")) if r in index]
    what = [r for r in _refs(call.find("$on")) if r in index]
    if not whom or not what:
        return call
    return _use(call, whom[0], what[0])


def _use(at: Resource, by: str, what: str) -> Resource:
    ends = {"by": by, "what": what}
    body = {key: Value(None, at.place, State.UNKNOWN, (ref,)) for key, ref in ends.items()}
    return replace(at, type="aws/grant", body=Value(body, at.place), part_of="", names=())


def _refs(values: Iterable[Value]) -> list[str]:
    return [r for v in values for r in v.refs]


def _changed(resource: Resource, changes: Mapping[str, Callable[[Value], Value]]) -> Resource:
    if not isinstance(resource.body.data, Mapping):
        return resource
    body = {k: changes[k](v) if k in changes else v for k, v in resource.body.data.items()}
    return replace(resource, body=replace(resource.body, data=body))


_CHANGES: Mapping[str, Callable[[Resource, _Index], Iterator[Resource]]] = {
    "aws_iam_role": _terraform_role,
    _POLICY: _terraform_policy,
    "aws_iam_user_policy": _terraform_policy,
    "aws_iam_user_policy_attachment": _attachment,
    "AWS::IAM::User": _template_role,
    "aws_iam_role_policy_attachment": _attachment,
    "aws_iam_policy_attachment": _attachment,
    "module/terraform-aws-modules/lambda/aws": _module_function,
    "AWS::IAM::Role": _template_role,
    "AWS::IAM::Policy": _template_policy,
    "AWS::IAM::ManagedPolicy": _template_policy,
    "AWS::Serverless::Function": _serverless,
}
