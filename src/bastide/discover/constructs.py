# SPDX-License-Identifier: Apache-2.0
"""Constructs of the AWS CDK as the resources that they make, so that one entry of the catalogue serves templates and code. Pure.

`CfnX` of a module is `AWS::SERVICE::X` (the CDK's own rule); of constructs of a higher level those that AI systems use are listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from bastide.discover.model import REST, Resource, State, Value

_SERVICES: Mapping[str, str] = {
    name.lower(): name
    for name in (
        "Bedrock", "BedrockAgentCore", "SageMaker", "OpenSearchServerless", "OpenSearchService", "Kendra", "Lex", "QBusiness", "S3Vectors", "Lambda",
        "S3", "DynamoDB", "IAM", "ApiGateway", "ApiGatewayV2", "ECS", "AppRunner", "RDS", "SecretsManager", "SQS", "SNS", "Kinesis",
        "StepFunctions", "AppSync", "Cognito", "ElastiCache", "DocDB", "Neptune", "ElasticLoadBalancingV2", "SSM", "CloudFront",
    )
}  # fmt: skip
_HIGHER: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "lambda": {"AWS::Lambda::Function": ("Function", "DockerImageFunction", "SingletonFunction")},
    "lambda_python": {"AWS::Lambda::Function": ("PythonFunction",)},
    "lambda_nodejs": {"AWS::Lambda::Function": ("NodejsFunction",)},
    "lambda_go": {"AWS::Lambda::Function": ("GoFunction",)},
    "s3": {"AWS::S3::Bucket": ("Bucket",)},
    "dynamodb": {"AWS::DynamoDB::Table": ("Table", "TableV2")},
    "sqs": {"AWS::SQS::Queue": ("Queue",)},
    "sns": {"AWS::SNS::Topic": ("Topic",)},
    "kinesis": {"AWS::Kinesis::Stream": ("Stream",)},
    "rds": {
        "AWS::RDS::DBCluster": ("DatabaseCluster", "ServerlessCluster", "DatabaseClusterFromSnapshot"), "AWS::RDS::DBInstance": ("DatabaseInstance",),
    },
    "docdb": {"AWS::DocDB::DBCluster": ("DatabaseCluster",)},
    "neptune": {"AWS::Neptune::DBCluster": ("DatabaseCluster",)},
    "secretsmanager": {"AWS::SecretsManager::Secret": ("Secret",)},
    "iam": {"AWS::IAM::Role": ("Role",), "AWS::IAM::Policy": ("Policy",), "AWS::IAM::ManagedPolicy": ("ManagedPolicy",), "AWS::IAM::User": ("User",)},
    "apigateway": {"AWS::ApiGateway::RestApi": ("RestApi", "LambdaRestApi", "SpecRestApi", "StepFunctionsRestApi")},
    "apigatewayv2": {"AWS::ApiGatewayV2::Api": ("HttpApi", "WebSocketApi")},
    "appsync": {"AWS::AppSync::GraphQLApi": ("GraphqlApi",)},
    "cognito": {"AWS::Cognito::UserPool": ("UserPool",)},
    "stepfunctions": {"AWS::StepFunctions::StateMachine": ("StateMachine",)},
    "opensearchservice": {"AWS::OpenSearchService::Domain": ("Domain",)},
    "opensearchserverless": {"AWS::OpenSearchServerless::Collection": ("VectorCollection",)},
    "sagemaker": {
        "AWS::SageMaker::Model": ("Model",), "AWS::SageMaker::Endpoint": ("Endpoint",), "AWS::SageMaker::EndpointConfig": ("EndpointConfig",),
    },
    "bedrock": {
        "AWS::Bedrock::Agent": ("Agent",), "AWS::Bedrock::Guardrail": ("Guardrail",), "AWS::Bedrock::Prompt": ("Prompt",),
        "AWS::Bedrock::KnowledgeBase": ("KnowledgeBase", "VectorKnowledgeBase", "GraphKnowledgeBase", "KendraKnowledgeBase"),
        "AWS::Bedrock::DataSource": ("S3DataSource", "WebCrawlerDataSource"),
    },
    "bedrock_agentcore": {
        "AWS::BedrockAgentCore::Runtime": ("Runtime",), "AWS::BedrockAgentCore::Gateway": ("Gateway",), "AWS::BedrockAgentCore::Memory": ("Memory",),
    },
}  # fmt: skip
"""Module, without `aws_` and `_alpha` -> what its constructs make."""
_CALL = re.compile(
    r"call/(?:js:)?(?:aws_cdk|aws-cdk-lib|@aws-cdk|cdklabs\.generative_ai_cdk_constructs|@cdklabs/generative-ai-cdk-constructs)"
    r"[./](?:aws[-_])?([a-z0-9_-]+)\.(\w+)(?:\.from(?:_\w+|[A-Z]\w*))?\Z"
)


_PROPERTY = re.compile(r"call/(?:aws_cdk|cdklabs)\.[\w.]*\.Cfn\w+\.\w+Property\Z")
"""In Python a part of a construct's properties is an object of a class of its own."""
_DEEP = 12


def with_constructs(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources, with constructs as what they make."""
    given = tuple(resources)
    parts = {r.id: r for r in given if _PROPERTY.match(r.type)}
    for resource in given:
        type_ = _made(resource.type)
        yield _resource(resource, type_, parts) if type_ else resource


def _made(call: str) -> str:
    match = _CALL.match(call)
    if match is None:
        return ""
    module, name = re.sub(r"_alpha\Z", "", match[1].replace("-", "_").rstrip("_")), match[2]
    if name.endswith("Policy") and not name.startswith("Cfn") and match.end(2) != len(call):
        # `ManagedPolicy.from...("X")` only names one.
        return ""
    service = _SERVICES.get(module.replace("_", ""))
    if name.startswith("Cfn") and service:
        return f"AWS::{service}::{name.removeprefix('Cfn')}"
    return next((type_ for type_, names in _HIGHER.get(module, {}).items() if name in names), "")


def _resource(call: Resource, type_: str, parts: Mapping[str, Resource]) -> Resource:
    """Properties are keywords in Python and the third argument elsewhere; the second is the construct's id."""
    given = call.body.data if isinstance(call.body.data, Mapping) else {}
    body = {key: _whole(value, parts) for key, value in given.items() if not key.isdecimal() and key != "$on"}
    properties = given.get("2")
    if properties is not None and isinstance(properties.data, Mapping):
        body |= properties.data
    elif properties is not None:
        body[REST] = Value(None, call.place, State.UNKNOWN)
    named = given.get("1", given.get("id"))
    name = str(named.data) if named is not None and isinstance(named.data, str) else call.name
    if name in ("Resource", "Default"):
        name = call.name
    return replace(call, type=type_, name=name, body=replace(call.body, data=body), part_of="")


def _whole(value: Value, parts: Mapping[str, Resource], depth: int = 0) -> Value:
    """A value with the objects that are its parts laid out where they stand."""
    if depth > _DEEP:
        return value
    if isinstance(value.data, tuple):
        return replace(value, data=tuple(_whole(v, parts, depth + 1) for v in value.data))
    if isinstance(value.data, Mapping):
        return replace(value, data={k: _whole(v, parts, depth + 1) for k, v in value.data.items()})
    part = parts.get(value.refs[0]) if len(value.refs) == 1 and not value.known else None
    if part is None or not isinstance(part.body.data, Mapping):
        return value
    inner = {k: _whole(v, parts, depth + 1) for k, v in part.body.data.items() if k != "$on"}
    return Value(inner, part.place)
