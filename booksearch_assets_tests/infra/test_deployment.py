"""`up` brings the templates up in moto; what then exists is read back through each service's own API."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
import yaml

from booksearch_assets.aws import deployment
from booksearch_assets_tests.infra.conftest import BUNDLE, IMAGE_DIGEST, ORCHESTRATOR, PROJECT
from booksearch_assets_tests.infra.moto_aws import KNOWN_RELEASE, REGION

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def outputs(clients: deployment.Clients) -> dict[str, str]:
    found = deployment.status(clients, PROJECT)
    return {output.name: output.value for _, state in found for output in state.outputs}


def resource(stack: str, logical_id: str) -> str:
    answer = boto3.client("cloudformation").describe_stack_resource(
        StackName=f"{PROJECT}-{stack}", LogicalResourceId=logical_id
    )
    return str(answer["StackResourceDetail"]["PhysicalResourceId"])


def test_every_stack_is_up_and_tells_its_environment(deployed: deployment.Clients) -> None:
    found = deployment.status(deployed, PROJECT)
    assert {state.status for _, state in found} == {"CREATE_COMPLETE"}
    told = outputs(deployed)
    assert deployment.environment([state for _, state in found]) == {
        "BOOKSEARCH_LAKE": f"s3://{told['BucketName']}/lake",
        "BOOKSEARCH_EMR_STAGING": f"s3://{told['BucketName']}/emr",
        "BOOKSEARCH_EMR_APPLICATION_ID": told["ApplicationId"],
        "BOOKSEARCH_EMR_ROLE_ARN": told["JobRoleArn"],
        "BOOKSEARCH_MILVUS_URI": told["MilvusUri"],
        "BOOKSEARCH_OPENSEARCH_URL": told["OpenSearchUrl"],
        "BOOKSEARCH_QUERY_ENDPOINT": "booksearch-queries",
        "BOOKSEARCH_TRANSFORM_MODEL": told["TransformModelName"],
        "BOOKSEARCH_TRANSFORM_STAGING": f"s3://{told['BucketName']}/sagemaker/transform",
    }


def test_the_bucket_is_encrypted_versioned_private_and_cleaned(deployed: deployment.Clients) -> None:
    s3, bucket = deployed.s3, outputs(deployed)["BucketName"]
    (encryption,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert len(block) == 4 and all(block.values())
    (ownership,) = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert ownership == {"ObjectOwnership": "BucketOwnerEnforced"}
    rules = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
    assert rules["old-versions"]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30
    assert rules["old-versions"]["Filter"] == {"Prefix": ""}
    assert rules["unfinished-uploads"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7
    assert (rules["runs"]["Filter"], rules["runs"]["Expiration"]["Days"]) == ({"Prefix": "emr/runs/"}, 30)
    # Only what runs leave behind ever expires: never a table.
    assert rules["transforms"]["Filter"] == {"Prefix": "sagemaker/transform/"}
    expiring = [name for name, rule in rules.items() if "Days" in rule.get("Expiration", {})]
    assert expiring == ["runs", "transforms"]
    (refused,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert (refused["Effect"], refused["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert refused["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]


def test_private_subnets_reach_s3_and_no_internet(deployed: deployment.Clients) -> None:
    ec2, told = boto3.client("ec2"), outputs(deployed)
    here = [{"Name": "vpc-id", "Values": [told["VpcId"]]}]
    subnets = ec2.describe_subnets(Filters=here)["Subnets"]
    assert sorted(s["SubnetId"] for s in subnets) == sorted(told["PrivateSubnets"].split(","))
    assert len({s["AvailabilityZone"] for s in subnets}) == 2
    endpoints = {e["ServiceName"]: e for e in ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"]}
    s3_endpoint = endpoints[f"com.amazonaws.{REGION}.s3"]
    assert s3_endpoint["VpcEndpointType"] == "Gateway"
    for subnet in subnets:
        association = [{"Name": "association.subnet-id", "Values": [subnet["SubnetId"]]}]
        (table,) = ec2.describe_route_tables(Filters=association)["RouteTables"]
        assert table["RouteTableId"] in s3_endpoint["RouteTableIds"]
        # Within the VPC, and S3's own route: nothing else.
        assert [r["DestinationCidrBlock"] for r in table["Routes"] if "DestinationCidrBlock" in r] == [
            "10.42.0.0/16"
        ]
    # An interface endpoint costs money for each hour; Milvus on an instance needs one, to read its password.
    interfaces = [name for name, e in endpoints.items() if e["VpcEndpointType"] == "Interface"]
    assert interfaces == [f"com.amazonaws.{REGION}.secretsmanager"]
    assert told["LogsReachable"] == "false"
    assert not ec2.describe_nat_gateways(Filters=here)["NatGateways"]
    attached = [{"Name": "attachment.vpc-id", "Values": [told["VpcId"]]}]
    assert not ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]
    assert not ec2.describe_addresses()["Addresses"]


def test_the_s3_endpoint_lets_through_the_bucket_of_this_deployment(deployed: deployment.Clients) -> None:
    ec2, bucket = boto3.client("ec2"), outputs(deployed)["BucketName"]
    (endpoint,) = [
        e for e in ec2.describe_vpc_endpoints()["VpcEndpoints"] if e["ServiceName"].endswith(".s3")
    ]
    mine, of_aws = yaml.safe_load(endpoint["PolicyDocument"])["Statement"]
    assert mine["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    assert all("appinfo.src" in arn or "al2023-repos" in arn for arn in of_aws["Resource"])


def test_workers_are_reached_by_each_other_alone(deployed: deployment.Clients) -> None:
    group_id = outputs(deployed)["JobSecurityGroup"]
    (group,) = boto3.client("ec2").describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    (inbound,) = group["IpPermissions"]
    assert [pair["GroupId"] for pair in inbound["UserIdGroupPairs"]] == [group_id]
    assert not inbound["IpRanges"]
    outbound = {
        (rule["FromPort"], rule["ToPort"], block["CidrIp"])
        for rule in group["IpPermissionsEgress"]
        for block in rule["IpRanges"]
    }
    assert outbound == {(0, 65535, "10.42.0.0/16"), (443, 443, "0.0.0.0/0")}


def test_logs_are_kept_for_a_while(deployed: deployment.Clients) -> None:
    name = outputs(deployed)["LogGroupName"]
    (group,) = boto3.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert group["retentionInDays"] == 30


def test_the_application_is_what_the_template_says(deployed: deployment.Clients) -> None:
    told = outputs(deployed)
    application = boto3.client("emr-serverless").get_application(applicationId=told["ApplicationId"])[
        "application"
    ]
    # moto refuses emr-spark-8.0.0; the template's own label is compared where the application is made.
    assert application["releaseLabel"] == KNOWN_RELEASE
    assert application["type"].upper() == "SPARK"
    assert application["autoStopConfiguration"] == {"enabled": True, "idleTimeoutMinutes": 5}
    assert application["autoStartConfiguration"] == {"enabled": True}
    assert application["maximumCapacity"] == {"cpu": "64 vCPU", "memory": "480 GB", "disk": "2000 GB"}
    assert application["networkConfiguration"] == {
        "subnetIds": told["PrivateSubnets"].split(","),
        "securityGroupIds": [told["JobSecurityGroup"]],
    }
    assert not application.get("initialCapacity")


def test_a_job_has_the_rights_of_its_own_application(deployed: deployment.Clients) -> None:
    iam, told = boto3.client("iam"), outputs(deployed)
    role = iam.get_role(RoleName=resource("roles", "JobRole"))["Role"]
    assert role["Arn"] == told["JobRoleArn"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "emr-serverless.amazonaws.com"}
    assert trust["Condition"]["ArnLike"] == {"aws:SourceArn": told["ApplicationArn"]}
    assert iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"] == ["job"]
    assert not iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
    allowed = _by_sid(iam.get_role_policy(RoleName=role["RoleName"], PolicyName="job")["PolicyDocument"])
    assert allowed["ReadAndWriteTables"]["Resource"] == f"arn:aws:s3:::{told['BucketName']}/lake/*"
    assert allowed["WriteLogs"]["Resource"] == told["LogGroupArn"]


def test_the_orchestrator_submits_to_this_application_and_passes_this_role(
    deployed: deployment.Clients,
) -> None:
    iam, told = boto3.client("iam"), outputs(deployed)
    policy = iam.get_policy(PolicyArn=told["OrchestratorPolicyArn"])["Policy"]
    version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])[
        "PolicyVersion"
    ]
    allowed = _by_sid(version["Document"])
    assert allowed["SubmitJobs"]["Resource"] == told["ApplicationArn"]
    assert allowed["WatchAndCancelJobs"]["Resource"] == f"{told['ApplicationArn']}/jobruns/*"
    assert allowed["GiveJobsTheirRole"]["Resource"] == told["JobRoleArn"]
    # Nobody was named who may assume it.
    assert "OrchestratorRoleArn" not in told


def test_milvus_keeps_to_its_subnet_its_image_and_its_secret(deployed: deployment.Clients) -> None:
    ec2, iam, told = boto3.client("ec2"), boto3.client("iam"), outputs(deployed)
    (reservation,) = ec2.describe_instances(InstanceIds=[resource("milvus", "Milvus")])["Reservations"]
    (instance,) = reservation["Instances"]
    assert instance["SubnetId"] == told["PrivateSubnets"].split(",")[0]
    assert told["MilvusUri"] == f"http://{instance['PrivateIpAddress']}:19530"
    (group,) = ec2.describe_security_groups(GroupIds=[resource("milvus", "MilvusGroup")])["SecurityGroups"]
    (inbound,) = group["IpPermissions"]
    assert (inbound["FromPort"], [b["CidrIp"] for b in inbound["IpRanges"]]) == (19530, ["10.42.0.0/16"])
    role = resource("milvus", "MilvusRole")
    allowed = _by_sid(iam.get_role_policy(RoleName=role, PolicyName="milvus")["PolicyDocument"])
    image = f"arn:aws:s3:::{told['BucketName']}/images/milvus-v2.6.16.tar.gz"
    assert allowed["ReadImage"]["Resource"] == image
    assert allowed["ReadPassword"]["Resource"] == told["MilvusSecretArn"]
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=told["MilvusSecretArn"])
    user = json.loads(secret["SecretString"])
    assert user["username"] == "root" and len(user["password"]) == 40 and user["password"].isalnum()
    script = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
    assert user["password"] not in str(script)


def test_opensearch_is_encrypted_private_and_for_one_role(deployed: deployment.Clients) -> None:
    told = outputs(deployed)
    domain = boto3.client("opensearch").describe_domain(DomainName="booksearch-vectors")["DomainStatus"]
    assert domain["ARN"] == told["OpenSearchDomainArn"]
    assert told["OpenSearchUrl"] == f"https://{domain['Endpoints']['vpc']}"
    assert domain["EngineVersion"] == "OpenSearch_2.19"
    cluster = domain["ClusterConfig"]
    assert (cluster["InstanceType"], cluster["InstanceCount"]) == ("t3.small.search", 1)
    assert cluster["ZoneAwarenessEnabled"] is False
    assert domain["EBSOptions"] == {"EBSEnabled": True, "VolumeType": "gp3", "VolumeSize": 20}
    assert domain["EncryptionAtRestOptions"]["Enabled"] and domain["NodeToNodeEncryptionOptions"]["Enabled"]
    endpoint = domain["DomainEndpointOptions"]
    assert endpoint["EnforceHTTPS"] and endpoint["TLSSecurityPolicy"] == "Policy-Min-TLS-1-2-PFS-2023-10"
    assert domain["VPCOptions"]["SubnetIds"] == told["PrivateSubnets"].split(",")[:1]
    (group_id,) = domain["VPCOptions"]["SecurityGroupIds"]
    (group,) = boto3.client("ec2").describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    (inbound,) = group["IpPermissions"]
    assert (inbound["FromPort"], [b["CidrIp"] for b in inbound["IpRanges"]]) == (443, ["10.42.0.0/16"])
    allowed = _by_sid(domain["AccessPolicies"])
    assert list(allowed) == ["ThisRoleOnly"]
    assert allowed["ThisRoleOnly"]["Principal"] == {"AWS": ORCHESTRATOR}
    assert allowed["ThisRoleOnly"]["Resource"] == f"{domain['ARN']}/*"


def test_opensearch_logs_what_is_slow(deployed: deployment.Clients) -> None:
    logs = boto3.client("logs")
    domain = boto3.client("opensearch").describe_domain(DomainName="booksearch-vectors")["DomainStatus"]
    name = "/aws/OpenSearchService/domains/booksearch-vectors/slow"
    (group,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert group["retentionInDays"] == 30
    assert set(domain["LogPublishingOptions"]) == {"SEARCH_SLOW_LOGS", "INDEX_SLOW_LOGS"}
    for option in domain["LogPublishingOptions"].values():
        assert option["Enabled"] and option["CloudWatchLogsLogGroupArn"].removesuffix(":*") == group[
            "arn"
        ].removesuffix(":*")
    (policy,) = logs.describe_resource_policies()["resourcePolicies"]
    allowed = _by_sid(policy["policyDocument"])["SlowLogsOfThisDomain"]
    assert allowed["Principal"] == {"Service": "es.amazonaws.com"}
    assert allowed["Condition"]["ArnLike"] == {"aws:SourceArn": domain["ARN"]}
    assert allowed["Resource"].startswith(group["arn"].removesuffix(":*"))


def test_the_endpoint_of_queries_is_serverless_and_runs_this_model_and_image(
    deployed: deployment.Clients,
) -> None:
    sagemaker, told = boto3.client("sagemaker"), outputs(deployed)
    endpoint = sagemaker.describe_endpoint(EndpointName=told["QueryEndpoint"])
    configuration = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    (variant,) = configuration["ProductionVariants"]
    # No capacity that waits, which would be paid for.
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 6144, "MaxConcurrency": 5}
    assert variant["ModelName"] == told["SageMakerModelName"]
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    account = endpoint["EndpointArn"].split(":")[4]
    assert model["PrimaryContainer"] == {
        "Image": f"{account}.dkr.ecr.{REGION}.amazonaws.com/booksearch-sagemaker@{IMAGE_DIGEST}",
        "ModelDataUrl": f"s3://{told['BucketName']}/sagemaker/{BUNDLE}/model.tar.gz",
    }
    name = f"/aws/sagemaker/Endpoints/{told['QueryEndpoint']}"
    (group,) = boto3.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert group["retentionInDays"] == 30

    iam, role = boto3.client("iam"), resource("sagemaker", "ModelRole")
    assert model["ExecutionRoleArn"] == iam.get_role(RoleName=role)["Role"]["Arn"]
    assert not iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    allowed = _by_sid(iam.get_role_policy(RoleName=role, PolicyName="model")["PolicyDocument"])
    assert allowed["ReadModel"]["Resource"] == (
        f"arn:aws:s3:::{told['BucketName']}/sagemaker/{BUNDLE}/model.tar.gz"
    )
    assert allowed["ReadImage"]["Resource"] == (
        f"arn:aws:ecr:{REGION}:{account}:repository/booksearch-sagemaker"
    )
    assert allowed["WriteLog"]["Resource"].removesuffix(":*") == group["arn"].removesuffix(":*")
    policy = iam.get_policy(PolicyArn=told["QueryPolicyArn"])["Policy"]
    document = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
    asking = _by_sid(document["PolicyVersion"]["Document"])["AskThisEndpoint"]
    assert (asking["Action"], asking["Resource"]) == ("sagemaker:InvokeEndpoint", endpoint["EndpointArn"])


def test_jobs_of_batch_transform_read_their_inputs_and_write_their_outputs_and_no_more(
    deployed: deployment.Clients,
) -> None:
    told, iam = outputs(deployed), boto3.client("iam")
    files = f"arn:aws:s3:::{told['BucketName']}/sagemaker/transform"
    model = boto3.client("sagemaker").describe_model(ModelName=told["TransformModelName"])
    endpoints = boto3.client("sagemaker").describe_model(ModelName=told["SageMakerModelName"])
    assert model["PrimaryContainer"] == endpoints["PrimaryContainer"]
    role = resource("sagemaker", "TransformRole")
    assert model["ExecutionRoleArn"] == iam.get_role(RoleName=role)["Role"]["Arn"]
    jobs = _by_sid(iam.get_role_policy(RoleName=role, PolicyName="transform")["PolicyDocument"])
    assert jobs["ReadInputs"]["Resource"] == f"{files}/input/*"
    assert jobs["WriteOutputs"]["Resource"] == f"{files}/output/*"
    assert jobs["FindInputs"]["Condition"] == {"StringLike": {"s3:prefix": "sagemaker/transform/*"}}

    policy = iam.get_policy(PolicyArn=told["TransformPolicyArn"])["Policy"]
    document = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
    rights = _by_sid(document["PolicyVersion"]["Document"])
    assert rights["RunTransformJobs"]["Resource"].endswith(":transform-job/booksearch-*")
    assert rights["ExchangeFiles"]["Resource"] == f"{files}/*"


def _by_sid(document: Any) -> dict[str, dict[str, Any]]:
    """Statements by their name. moto gives some documents as Python text, which YAML reads as it reads JSON."""
    document = yaml.safe_load(document) if isinstance(document, str) else document
    return {statement["Sid"]: statement for statement in document["Statement"]}
