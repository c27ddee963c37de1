# SPDX-License-Identifier: Apache-2.0
"""Containers that platforms host, in the shape that all containers have, whichever language declares them. Pure.

Attribute paths after the reference of each resource; names are compared without case, `_` and `-`, so one path serves Terraform,
CloudFormation, ARM and Bicep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from bastide.discover.importers.kubernetes.importer import resources_of
from bastide.discover.importers.kubernetes.objects import objects_of
from bastide.discover.model import Resource, State, Value

_SECRETS = ("secret_name", "secretRef", "value_from.secret_key_ref.name", "value_source.secret_key_ref.secret")


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a resource says what runs in it. Paths of `Value.find`; those of a container begin at its definition, the others at the resource."""

    types: tuple[str, ...]
    platform: str
    containers: str
    """The definitions; '': the resource is one."""
    image: str = "image"
    command: tuple[str, ...] = ("command", "args")
    env: str = "env"
    """A mapping, or a list of entries with name and value."""
    secrets: tuple[str, ...] = _SECRETS
    """In an entry: what names a secret."""
    secret_list: str = ""
    """A list of variables that are all secrets."""
    ports: str = "ports.container_port"
    ingress_port: str = ""
    """Of the resource."""
    external: str = ""
    """Of the resource: whether the internet reaches it."""
    identity: str = ""
    """Of the resource."""
    security: str = "security_context"
    job: bool = False


SHAPES = (
    Shape(("aws_ecs_task_definition", "AWS::ECS::TaskDefinition"), "ecs", "container_definitions", command=("entryPoint", "command"),
          env="environment", secret_list="secrets", ports="portMappings.containerPort", identity="task_role_arn"),
    Shape(("aws_apprunner_service", "AWS::AppRunner::Service"), "app-runner", "source_configuration.image_repository", image="image_identifier",
          command=("image_configuration.start_command",), env="image_configuration.runtime_environment_variables", ports="image_configuration.port",
          external="network_configuration.ingress_configuration.is_publicly_accessible", identity="instance_configuration.instance_role_arn"),
    Shape(("azurerm_container_app",), "container-apps", "template.container", ingress_port="ingress.target_port", external="ingress.external_enabled",
          identity="identity.identity_ids"),
    Shape(("Microsoft.App/containerApps",), "container-apps", "properties.template.containers",
          ingress_port="properties.configuration.ingress.targetPort", external="properties.configuration.ingress.external",
          identity="identity.userAssignedIdentities"),
    Shape(("module/avm/res/app/container-app",), "container-apps", "containers", ingress_port="ingress_target_port", external="ingress_external",
          identity="managed_identities.user_assigned_resource_ids"),
    Shape(("module/Azure/avm-res-app-containerapp/*",), "container-apps", "template.containers", ingress_port="ingress.target_port",
          external="ingress.external_enabled", identity="managed_identities.user_assigned_resource_ids"),
    Shape(("azurerm_container_app_job",), "container-apps", "template.container", identity="identity.identity_ids", job=True),
    Shape(("Microsoft.App/jobs",), "container-apps", "properties.template.containers", identity="identity.userAssignedIdentities", job=True),
    Shape(("azurerm_container_group",), "container-instances", "container", command=("commands",), env="environment_variables", ports="ports.port",
          identity="identity.identity_ids"),
    Shape(("Microsoft.ContainerInstance/containerGroups",), "container-instances", "properties.containers", image="properties.image",
          command=("properties.command",), env="properties.environmentVariables", ports="properties.ports.port",
          identity="identity.userAssignedIdentities"),
    Shape(("module/GoogleCloudPlatform/cloud-run/google//modules/v2",), "cloud-run", "containers", image="container_image",
          command=("container_command", "container_args"), env="env_vars", identity="service_account"),
    Shape(("google_cloud_run_v2_service",), "cloud-run", "template.containers", identity="template.service_account"),
    Shape(("google_cloud_run_v2_job",), "cloud-run", "template.template.containers", identity="template.template.service_account", job=True),
    Shape(("google_cloud_run_service",), "cloud-run", "template.spec.containers", identity="template.spec.service_account_name"),
    Shape(("kubernetes_deployment*", "kubernetes_stateful_set*", "kubernetes_daemon*", "kubernetes_replication_controller*"), "kubernetes",
          "spec.template.spec.container", ports="port.container_port"),
    Shape(("kubernetes_pod", "kubernetes_pod_v1"), "kubernetes", "spec.container", ports="port.container_port"),
    Shape(("kubernetes_job*", "kubernetes_cron_job*"), "kubernetes", "spec.*.spec.container", ports="port.container_port", job=True),
)  # fmt: skip


def with_hosted(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources, and the containers that they host."""
    resources = list(resources)
    services = {r.name: r for r in resources if r.type == "azd/service"}
    for resource in resources:
        yield resource
        service = next((services.get(str(v.data)) for v in resource.find("tags.azd-service-name")), None)
        if resource.type in ("kubernetes_manifest", "kubectl_manifest"):
            yield from _manifests(resource)
        elif (shape := _shape(resource.type)) is not None:
            yield from (_built(c, service) if service else c for c in _containers(resource, shape))
        elif service is not None:
            yield _program(resource, service)


def _built(container: Resource, service: Resource) -> Resource:
    """The image that stands in the template only holds the place until the first deployment: what runs is built from the service's folder."""
    image = Value(None, container.place, State.UNKNOWN)
    build = Value(_folder(service), service.place)
    return replace(
        container, body=replace(container.body, data={**container.body.data, "image": image, "build": build})
    )


def _program(resource: Resource, service: Resource) -> Resource:
    """What a platform without containers runs, in the shape of one."""
    place = service.place
    body = {
        "platform": Value("app-service", place),
        "build": Value(_folder(service), place),
        "host": Value(resource.id, place, refs=(resource.id,)),
        "ports": Value((Value({"container": Value(443, place)}, place),), place),
    }
    return Resource(
        f"{resource.id}/program", "container", resource.name, Value(body, place), place, scope=resource.scope,
        via=(resource.place, *resource.via), part_of=resource.id,
    )  # fmt: skip


def _folder(service: Resource) -> str:
    return next((str(v.data) for v in service.find("folder")), "")


def _shape(type_: str) -> Shape | None:
    return next((s for s in SHAPES if any(fnmatchcase(type_, pattern) for pattern in s.types)), None)


def _manifests(resource: Resource) -> Iterator[Resource]:
    """Kubernetes objects that are written as an attribute."""
    for manifest in resource.find("manifest"):
        yield from resources_of(list(objects_of(manifest, resource.place.file, resource.scope)))


def _containers(resource: Resource, shape: Shape) -> Iterator[Resource]:
    """None when the definitions aren't known."""
    for number, definition in enumerate(resource.find(shape.containers)):
        if not isinstance(definition.data, Mapping) or not definition.find(shape.image):
            continue
        inner = next(
            (str(v.data) for v in definition.find("name") if isinstance(v.data, str)), str(number) if number else ""
        )
        name = inner if shape.platform == "ecs" and inner else f"{resource.name}-{inner}" if number else resource.name
        hosts = () if number else (f"host:{_called(resource)}@{resource.scope}",)
        parts = _body(resource, definition, shape)
        if not number:
            # The first is what the platform's resource stands for; the others run beside it.
            parts["host"] = Value(resource.id, definition.place, refs=(resource.id,))
        body = Value(parts, definition.place)
        yield Resource(
            f"{resource.id}/{inner or 'container'}", "container", name, body, definition.place, names=hosts, scope=resource.scope,
            via=(resource.place, *resource.via), part_of=resource.id, variant=resource.variant,
        )  # fmt: skip


def _called(resource: Resource) -> str:
    """The name under which others reach it."""
    named = (*resource.find("metadata.name"), *resource.find("name"))
    return next((str(v.data) for v in named if isinstance(v.data, str)), resource.name)


def _body(resource: Resource, definition: Value, shape: Shape) -> dict[str, Value]:
    place = definition.place
    body = {"platform": Value(shape.platform, place), "image": definition.find(shape.image)[0]}
    words = tuple(w for path in shape.command for w in definition.find(path))
    body["command"] = Value(words, words[0].place if words else place)
    body["env"] = Value(dict(_environment(definition, shape)), place)
    ports = (*definition.find(shape.ports), *(resource.find(shape.ingress_port) if shape.ingress_port else ()))
    body["ports"] = Value(tuple(Value({"container": p}, p.place) for p in ports), ports[0].place if ports else place)
    body |= {key: found[0] for key in ("privileged", "user", "build") if (found := definition.find(key))}
    if security := definition.find(shape.security):
        body["security"] = security[0]
    if shape.external and (external := resource.find(shape.external)):
        body["exposure"] = _exposure(external[0])
    if shape.identity:
        body["role"] = Value(tuple(_identities(resource, shape.identity)), place)
    if shape.job:
        body["job"] = Value(True, place)
    return body


def _exposure(external: Value) -> Value:
    if not external.known:
        return external
    return Value("internet" if external.data is True else "internal", external.place, external.state)


def _identities(resource: Resource, path: str) -> Iterator[Value]:
    """Identities are listed, or are the keys of a mapping."""
    for value in resource.find(path):
        if isinstance(value.data, Mapping):
            yield from (Value(key, inner.place, refs=inner.refs) for key, inner in value.data.items())
        else:
            yield value


def _environment(definition: Value, shape: Shape) -> Iterator[tuple[str, Value]]:
    for given in definition.find(shape.env):
        if not isinstance(given.data, Mapping):
            continue
        name = next(iter(given.find("name")), None)
        if name is None:
            yield from given.data.items()
            continue
        secret = next((v for path in shape.secrets for v in given.find(path)), None)
        values = given.find("value")
        if secret is not None:
            yield (
                str(name.data),
                Value(None, secret.place, State.UNKNOWN, (*secret.refs, f"secret:{secret.data or name.data}")),
            )
        else:
            yield str(name.data), values[0] if values else Value(None, given.place, State.UNKNOWN)
    for entry in definition.find(shape.secret_list) if shape.secret_list else ():
        refs = tuple(r for v in entry.find("value_from") for r in v.refs)
        for name in entry.find("name"):
            yield str(name.data), Value(None, entry.place, State.UNKNOWN, (*refs, f"secret:{name.data}"))
