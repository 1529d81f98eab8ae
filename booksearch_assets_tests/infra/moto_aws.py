"""What moto's CloudFormation lacks for the templates of `infra/`, made through the real API calls of each service.

Each resource type here is created with boto3 from the template's own properties, so that boto3's API models and moto's
services judge them. moto ignores these types, or takes only a part of their properties.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import boto3
import moto.cloudformation.models as cloudformation_models
import moto.cloudformation.parsing as parsing
from botocore.validate import ParamValidator
from moto import mock_aws
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.common_models import CloudFormationModel
from moto.s3.models import FakeBucket

REGION = "eu-central-1"
# moto knows no release later than this and refuses labels that are not emr-N.N.N, such as emr-spark-8.0.0.
KNOWN_RELEASE = "emr-7.9.0"


class _Resource(CloudFormationModel):
    """A resource that knows its id and its attributes."""

    def __init__(self, physical_id: str, attributes: dict[str, str]):
        self.physical_resource_id = physical_id
        self.attributes = attributes

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return True

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    def get_cfn_attribute(self, attribute_name: str) -> str:
        return self.attributes[attribute_name]

    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> _Resource:
        raise NotImplementedError

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Any:
        return cls.make(cloudformation_json["Properties"], region_name)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        return cls.make(cloudformation_json["Properties"], region_name)

    def delete(self, account_id: str, region: str) -> None:
        """Gone with the stack; the services themselves are not under test."""


class Application(_Resource):
    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> Application:
        request = _camel(properties)
        assert request["releaseLabel"] == "emr-spark-8.0.0"
        request["releaseLabel"] = KNOWN_RELEASE
        answer = boto3.client("emr-serverless", region).create_application(**request)
        return cls(answer["applicationId"], {"ApplicationId": answer["applicationId"], "Arn": answer["arn"]})


class Studio(_Resource):
    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> Studio:
        """moto has no studios at all, so only the API's model judges the request."""
        shape = boto3.client("emr", region).meta.service_model.operation_model("CreateStudio").input_shape
        report = ParamValidator().validate(properties, shape)
        assert not report.has_errors(), report.generate_report()
        return cls("es-1", {"Url": f"https://es-1.emrstudio-prod.{region}.amazonaws.com", "StudioId": "es-1"})


class Secret(_Resource):
    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> Secret:
        client = boto3.client("secretsmanager", region)
        wanted = dict(properties["GenerateSecretString"])
        content = json.loads(wanted.pop("SecretStringTemplate"))
        key = wanted.pop("GenerateStringKey")
        content[key] = client.get_random_password(**wanted)["RandomPassword"]
        answer = client.create_secret(
            Name="milvus", Description=properties["Description"], SecretString=json.dumps(content)
        )
        return cls(answer["ARN"], {"Id": answer["ARN"]})


class BucketPolicy(_Resource):
    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> BucketPolicy:
        policy = json.dumps(properties["PolicyDocument"])
        boto3.client("s3", region).put_bucket_policy(Bucket=properties["Bucket"], Policy=policy)
        return cls(properties["Bucket"], {})


class LogGroup(_Resource):
    """moto makes these, and loses them in an update."""

    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> LogGroup:
        client, name = boto3.client("logs", region), properties["LogGroupName"]
        if not client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]:
            client.create_log_group(logGroupName=name)
        client.put_retention_policy(logGroupName=name, retentionInDays=properties["RetentionInDays"])
        (group,) = client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        # CloudFormation's attribute is the ARN with its streams.
        return cls(name, {"Arn": f"{group['arn'].removesuffix(':*')}:*"})


class LogPolicy(_Resource):
    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> LogPolicy:
        boto3.client("logs", region).put_resource_policy(
            policyName=properties["PolicyName"], policyDocument=properties["PolicyDocument"]
        )
        return cls(properties["PolicyName"], {})


class Domain(_Resource):
    """Behind its endpoint nothing listens."""

    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> Domain:
        request = {**properties, "AccessPolicies": json.dumps(properties["AccessPolicies"])}
        # CloudFormation turns the text of a Number parameter into the type that the property has.
        for part, number in (("ClusterConfig", "InstanceCount"), ("EBSOptions", "VolumeSize")):
            request[part] = {**request[part], number: int(request[part][number])}
        status = boto3.client("opensearch", region).create_domain(**request)["DomainStatus"]
        return cls(status["DomainName"], {"DomainEndpoint": status["Endpoints"]["vpc"], "Arn": status["ARN"]})

    def delete(self, account_id: str, region: str) -> None:
        boto3.client("opensearch", region).delete_domain(DomainName=self.physical_resource_id)


class SageMakerModel(_Resource):
    """moto's own take neither a name from the template nor a number that CloudFormation has as text."""

    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> SageMakerModel:
        client = boto3.client("sagemaker", region)
        name = f"model-{len(client.list_models()['Models'])}"
        client.create_model(ModelName=name, **properties)
        return cls(name, {"ModelName": name})

    def delete(self, account_id: str, region: str) -> None:
        boto3.client("sagemaker", region).delete_model(ModelName=self.physical_resource_id)


class EndpointConfiguration(_Resource):
    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> EndpointConfiguration:
        client = boto3.client("sagemaker", region)
        name = f"configuration-{len(client.list_endpoint_configs()['EndpointConfigs'])}"
        (variant,) = properties["ProductionVariants"]
        serverless = {key: int(value) for key, value in variant["ServerlessConfig"].items()}
        client.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[{**variant, "ServerlessConfig": serverless}]
        )
        return cls(name, {"EndpointConfigName": name})

    def delete(self, account_id: str, region: str) -> None:
        boto3.client("sagemaker", region).delete_endpoint_config(EndpointConfigName=self.physical_resource_id)


class Endpoint(_Resource):
    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> Endpoint:
        # Ref is the ARN, as CloudFormation documents it.
        arn = boto3.client("sagemaker", region).create_endpoint(**properties)["EndpointArn"]
        return cls(arn, {"EndpointName": properties["EndpointName"]})

    def delete(self, account_id: str, region: str) -> None:
        boto3.client("sagemaker", region).delete_endpoint(EndpointName=self.attributes["EndpointName"])


class SecurityGroup(_Resource):
    """moto's CloudFormation leaves a group's own outbound rules out."""

    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> SecurityGroup:
        client = boto3.client("ec2", region)
        name = f"group-{len(client.describe_security_groups()['SecurityGroups'])}"
        group = client.create_security_group(
            GroupName=name, Description=properties["GroupDescription"], VpcId=properties["VpcId"]
        )["GroupId"]
        # Rules of its own replace the one that AWS gives every group: anything, anywhere.
        client.revoke_security_group_egress(GroupId=group, IpPermissions=[_ANYWHERE])
        inbound = [_permission(rule) for rule in properties.get("SecurityGroupIngress", [])]
        if inbound:
            client.authorize_security_group_ingress(GroupId=group, IpPermissions=inbound)
        outbound = [_permission(rule) for rule in properties["SecurityGroupEgress"]]
        client.authorize_security_group_egress(GroupId=group, IpPermissions=outbound)
        return cls(group, {"GroupId": group})

    def delete(self, account_id: str, region: str) -> None:
        boto3.client("ec2", region).delete_security_group(GroupId=self.physical_resource_id)


_ANYWHERE = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


def _permission(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule as the EC2 API writes it."""
    other = rule.get("SourceSecurityGroupId") or rule.get("DestinationSecurityGroupId")
    peer: dict[str, Any] = (
        {"UserIdGroupPairs": [{"GroupId": other, "Description": rule["Description"]}]}
        if other
        else {"IpRanges": [{"CidrIp": rule["CidrIp"], "Description": rule["Description"]}]}
    )
    return {name: rule[name] for name in ("IpProtocol", "FromPort", "ToPort")} | peer


class RouteTable(_Resource):
    """moto makes these and the next, and leaves them when a stack is deleted."""

    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> RouteTable:
        answer = boto3.client("ec2", region).create_route_table(VpcId=properties["VpcId"])
        return cls(answer["RouteTable"]["RouteTableId"], {})

    def delete(self, account_id: str, region: str) -> None:
        boto3.client("ec2", region).delete_route_table(RouteTableId=self.physical_resource_id)


class RouteTableAssociation(_Resource):
    @classmethod
    def make(cls, properties: dict[str, Any], region: str) -> RouteTableAssociation:
        answer = boto3.client("ec2", region).associate_route_table(**properties)
        return cls(answer["AssociationId"], {})

    def delete(self, account_id: str, region: str) -> None:
        boto3.client("ec2", region).disassociate_route_table(AssociationId=self.physical_resource_id)


class Bucket(FakeBucket):
    """moto's CloudFormation takes only the encryption of a bucket; the rest is put through the S3 API."""

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **kwargs: Any
    ) -> Any:
        bucket = FakeBucket.create_from_cloudformation_json(
            resource_name, cloudformation_json, account_id, region_name, **kwargs
        )
        _put_bucket(bucket.name, cloudformation_json["Properties"], region_name)
        return bucket

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        _put_bucket(original_resource.name, cloudformation_json["Properties"], region_name)
        return original_resource


def _put_bucket(bucket: str, properties: dict[str, Any], region: str) -> None:
    client = boto3.client("s3", region)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=properties["VersioningConfiguration"])
    client.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=properties["PublicAccessBlockConfiguration"]
    )
    client.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=properties["OwnershipControls"])
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={
            "Rules": [_lifecycle_rule(rule) for rule in properties["LifecycleConfiguration"]["Rules"]]
        },
    )


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule as the S3 API writes it, which CloudFormation's names differ from."""
    api = {"ID": rule["Id"], "Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    expiration = {
        "Days": rule.get("ExpirationInDays"),
        "ExpiredObjectDeleteMarker": rule.get("ExpiredObjectDeleteMarker"),
    }
    if expiration := {name: value for name, value in expiration.items() if value is not None}:
        api["Expiration"] = expiration
    same = ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
    return api | {name: rule[name] for name in same if name in rule}


def _camel(value: Any) -> Any:
    """CloudFormation's property names as the EMR Serverless API writes them; Spark's own settings stay as they are."""
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if isinstance(value, dict):
        return {
            name[0].lower() + name[1:]: inner if name == "Properties" else _camel(inner)
            for name, inner in value.items()
        }
    # CloudFormation turns the words of a String parameter into the type that the property has.
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


_clean_json = parsing.clean_json


def _clean_json_with_cidr(resource_json: Any, resources_map: Any) -> Any:
    if isinstance(resource_json, dict) and "Fn::Cidr" in resource_json:
        block, count, bits = (
            _clean_json_with_cidr(item, resources_map) for item in resource_json["Fn::Cidr"]
        )
        subnets = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
        return [str(subnet) for subnet, _ in zip(subnets, range(int(count)), strict=False)]
    return _clean_json(resource_json, resources_map)


_apply = cloudformation_models.ChangeSet.apply


def _apply_with_outputs(change_set: Any) -> None:
    """moto computes outputs for stacks that are created directly, and forgets to for change sets."""
    _apply(change_set)
    stack = change_set.stack
    stack.template_dict = change_set.template_dict
    # With defaults, as a later change set that keeps previous values is compared with them.
    resolved = stack.resource_map.resolved_parameters
    stack.parameters = {
        name: ",".join(value) if isinstance(value, list) else value for name, value in resolved.items()
    }
    stack.output_map = stack._create_output_map()


_TYPES = {
    "AWS::EC2::SecurityGroup": SecurityGroup,
    "AWS::EC2::RouteTable": RouteTable,
    "AWS::EC2::SubnetRouteTableAssociation": RouteTableAssociation,
    "AWS::Logs::LogGroup": LogGroup,
    "AWS::Logs::ResourcePolicy": LogPolicy,
    "AWS::OpenSearchService::Domain": Domain,
    "AWS::EMR::Studio": Studio,
    "AWS::EMRServerless::Application": Application,
    "AWS::S3::Bucket": Bucket,
    "AWS::S3::BucketPolicy": BucketPolicy,
    "AWS::SageMaker::Endpoint": Endpoint,
    "AWS::SageMaker::EndpointConfig": EndpointConfiguration,
    "AWS::SageMaker::Model": SageMakerModel,
    "AWS::SecretsManager::Secret": Secret,
}


@contextmanager
def completed_moto() -> Iterator[None]:
    """An empty AWS account in this process, with credentials that are valid nowhere else."""
    environment = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Hundreds of machine images that nothing here asks for.
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    }
    resource_class = parsing.resource_class_from_type
    with (
        mock.patch.dict("os.environ", environment),
        mock.patch.object(
            parsing, "resource_class_from_type", lambda kind: _TYPES.get(kind) or resource_class(kind)
        ),
        mock.patch.object(parsing, "clean_json", _clean_json_with_cidr),
        mock.patch.object(cloudformation_models.ChangeSet, "apply", _apply_with_outputs),
        # CloudFormation makes a change set that has nothing to change, and only then says so; moto refuses to make it.
        mock.patch.object(CloudFormationResponse, "_validate_different_update", return_value=None),
        # A session of its own for each account would read the API models of AWS again each time.
        mock_aws(config={"core": {"reset_boto3_session": False}}),
    ):
        yield
