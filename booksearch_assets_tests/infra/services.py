"""Asking each service of AWS for one resource, by the type that templates call it.

Belongs here: whether it is there. Does not: what it must be like (`test_deployment`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import boto3

Ask = Callable[[str], Any]


def _ec2(action: str, parameter: str, result: str) -> Ask:
    """A question that EC2 answers for a list of ids."""

    def ask(physical_id: str) -> Any:
        return getattr(boto3.client("ec2"), action)(**{parameter: [physical_id]})[result]

    return ask


def _association(physical_id: str) -> Any:
    wanted = [{"Name": "association.route-table-association-id", "Values": [physical_id]}]
    return boto3.client("ec2").describe_route_tables(Filters=wanted)["RouteTables"]


def _route(physical_id: str) -> Any:
    table, _, destination = physical_id.partition("~")
    (found,) = boto3.client("ec2").describe_route_tables(RouteTableIds=[table])["RouteTables"]
    return [route for route in found["Routes"] if route.get("DestinationCidrBlock") == destination]


def _attachment(vpc: str) -> Any:
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    return boto3.client("ec2").describe_internet_gateways(Filters=attached)["InternetGateways"]


def _log_group(name: str) -> Any:
    groups = boto3.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return [group for group in groups if group["logGroupName"] == name]


def _log_policy(name: str) -> Any:
    policies = boto3.client("logs").describe_resource_policies()["resourcePolicies"]
    return [policy for policy in policies if policy["policyName"] == name]


SERVICES: dict[str, Ask] = {
    "AWS::EC2::EIP": _ec2("describe_addresses", "PublicIps", "Addresses"),
    "AWS::EC2::Instance": _ec2("describe_instances", "InstanceIds", "Reservations"),
    "AWS::EC2::InternetGateway": _ec2("describe_internet_gateways", "InternetGatewayIds", "InternetGateways"),
    "AWS::EC2::NatGateway": _ec2("describe_nat_gateways", "NatGatewayIds", "NatGateways"),
    "AWS::EC2::Route": _route,
    "AWS::EC2::RouteTable": _ec2("describe_route_tables", "RouteTableIds", "RouteTables"),
    "AWS::EC2::SecurityGroup": _ec2("describe_security_groups", "GroupIds", "SecurityGroups"),
    "AWS::EC2::Subnet": _ec2("describe_subnets", "SubnetIds", "Subnets"),
    "AWS::EC2::SubnetRouteTableAssociation": _association,
    "AWS::EC2::VPC": _ec2("describe_vpcs", "VpcIds", "Vpcs"),
    "AWS::EC2::VPCEndpoint": _ec2("describe_vpc_endpoints", "VpcEndpointIds", "VpcEndpoints"),
    "AWS::EC2::VPCGatewayAttachment": _attachment,
    "AWS::EMRServerless::Application": lambda i: boto3.client("emr-serverless").get_application(
        applicationId=i
    ),
    "AWS::IAM::InstanceProfile": lambda i: boto3.client("iam").get_instance_profile(InstanceProfileName=i),
    "AWS::IAM::ManagedPolicy": lambda i: boto3.client("iam").get_policy(PolicyArn=i),
    "AWS::IAM::Role": lambda i: boto3.client("iam").get_role(RoleName=i),
    "AWS::Logs::LogGroup": _log_group,
    "AWS::Logs::ResourcePolicy": _log_policy,
    "AWS::OpenSearchService::Domain": lambda i: boto3.client("opensearch").describe_domain(DomainName=i),
    "AWS::S3::Bucket": lambda i: boto3.client("s3").head_bucket(Bucket=i),
    "AWS::S3::BucketPolicy": lambda i: boto3.client("s3").get_bucket_policy(Bucket=i),
    "AWS::SageMaker::Endpoint": lambda i: boto3.client("sagemaker").describe_endpoint(
        EndpointName=i.rpartition("/")[2]
    ),
    "AWS::SageMaker::EndpointConfig": lambda i: boto3.client("sagemaker").describe_endpoint_config(
        EndpointConfigName=i
    ),
    "AWS::SageMaker::Model": lambda i: boto3.client("sagemaker").describe_model(ModelName=i),
    "AWS::SecretsManager::Secret": lambda i: boto3.client("secretsmanager").describe_secret(SecretId=i),
}
"""By type: what a service answers of a resource, by its physical id; nothing, or an error, where it is not there."""


def let_in(rule: Mapping[str, Any], ids: Mapping[str, str]) -> Any:
    """The rules of a security group that an `AWS::EC2::SecurityGroupIngress` became, which has no id of its own."""
    source = ids[rule["SourceSecurityGroupId"]["Ref"]]
    groups = SERVICES["AWS::EC2::SecurityGroup"](ids[rule["GroupId"]["Ref"]])
    return [
        permission
        for permission in groups[0]["IpPermissions"]
        if (permission["FromPort"], permission["ToPort"]) == (rule["FromPort"], rule["ToPort"])
        and source in {pair["GroupId"] for pair in permission["UserIdGroupPairs"]}
    ]
