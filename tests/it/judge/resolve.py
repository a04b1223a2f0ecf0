"""Intrinsic functions of a template, replaced by values that could be real.

A policy judge reads plain JSON: it needs an ARN where the template says
`Fn::GetAtt`. This module puts a plausible one there (right service, right
shape, made-up account), so that a wrong resource type in a statement is still
found. It knows nothing of a deployed stack and does not try to: names that only
a deployment gives are the logical ids.
"""

import re

ACCOUNT = "123456789012"
PARTITION = "aws"

# What `Arn` looks like after `arn:aws:`. {r} region, {a} account, {n} a name.
ARNS = {
    "AWS::CloudWatch::Alarm": "cloudwatch:{r}:{a}:alarm:{n}",
    "AWS::DynamoDB::Table": "dynamodb:{r}:{a}:table/{n}",
    "AWS::Events::EventBus": "events:{r}:{a}:event-bus/{n}",
    "AWS::Events::Rule": "events:{r}:{a}:rule/{n}",
    "AWS::IAM::ManagedPolicy": "iam::{a}:policy/{n}",
    "AWS::IAM::Role": "iam::{a}:role/{n}",
    "AWS::IoT::Certificate": "iot:{r}:{a}:cert/{n}",
    "AWS::IoT::Job": "iot:{r}:{a}:job/{n}",
    "AWS::IoT::JobTemplate": "iot:{r}:{a}:jobtemplate/{n}",
    "AWS::IoT::Policy": "iot:{r}:{a}:policy/{n}",
    "AWS::IoT::ProvisioningTemplate": "iot:{r}:{a}:provisioningtemplate/{n}",
    "AWS::IoT::RoleAlias": "iot:{r}:{a}:rolealias/{n}",
    "AWS::IoT::Thing": "iot:{r}:{a}:thing/{n}",
    "AWS::IoT::ThingGroup": "iot:{r}:{a}:thinggroup/{n}",
    "AWS::IoT::ThingType": "iot:{r}:{a}:thingtype/{n}",
    "AWS::IoT::TopicRule": "iot:{r}:{a}:rule/{n}",
    "AWS::KMS::Key": "kms:{r}:{a}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "AWS::Kinesis::Stream": "kinesis:{r}:{a}:stream/{n}",
    "AWS::KinesisFirehose::DeliveryStream": "firehose:{r}:{a}:deliverystream/{n}",
    "AWS::Lambda::Function": "lambda:{r}:{a}:function:{n}",
    "AWS::Logs::LogGroup": "logs:{r}:{a}:log-group:{n}:*",
    "AWS::S3::Bucket": "s3:::{n}",
    "AWS::SNS::Topic": "sns:{r}:{a}:{n}",
    "AWS::SQS::Queue": "sqs:{r}:{a}:{n}",
    "AWS::SSM::Parameter": "ssm:{r}:{a}:parameter/{n}",
    "AWS::SecretsManager::Secret": "secretsmanager:{r}:{a}:secret:{n}-AbCdEf",
    "AWS::Signer::SigningProfile": "signer:{r}:{a}:/signing-profiles/{n}",
    "AWS::StepFunctions::StateMachine": "states:{r}:{a}:stateMachine:{n}",
}

# Types whose `Ref` is the ARN and not a name.
REF_IS_ARN = {
    "AWS::IAM::ManagedPolicy",
    "AWS::SNS::Topic",
    "AWS::SecretsManager::Secret",
    "AWS::Signer::SigningProfile",
    "AWS::StepFunctions::StateMachine",
}

# The property that names a resource of these types.
NAMES = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Events::EventBus": "Name",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IoT::Policy": "PolicyName",
    "AWS::IoT::Thing": "ThingName",
    "AWS::IoT::ThingGroup": "ThingGroupName",
    "AWS::IoT::ThingType": "ThingTypeName",
    "AWS::IoT::TopicRule": "RuleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SSM::Parameter": "Name",
}

NO_VALUE = object()


class Resolver:
    """Answers the intrinsics of one template."""

    def __init__(self, template, region="us-east-1", choose=True):
        self.template = template
        self.region = region
        self.choose = choose  # which branch of `Fn::If` is taken
        self.pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::NoValue": NO_VALUE,
            "AWS::NotificationARNs": [],
            "AWS::Partition": PARTITION,
            "AWS::Region": region,
            "AWS::StackId": f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/judged/1234",
            "AWS::StackName": "judged",
            "AWS::URLSuffix": "amazonaws.com",
        }

    def value(self, node):
        """Returns `node` without intrinsics, or NO_VALUE."""
        if isinstance(node, list):
            return [v for v in map(self.value, node) if v is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((key, argument),) = node.items()
            if key == "Ref":
                return self.ref(argument)
            if key.startswith("Fn::"):
                return self.function(key[4:], argument)
        out = {}
        for key, child in node.items():
            resolved = self.value(child)
            if resolved is not NO_VALUE:
                out[key] = resolved
        return out

    def function(self, name, argument):
        if name == "If":
            return self.value(argument[1] if self.choose else argument[2])
        if name == "Sub":
            return self.sub(argument)
        if name == "GetAtt":
            parts = argument.split(".", 1) if isinstance(argument, str) else argument
            return self.attribute(parts[0], str(self.value(parts[1])))
        argument = self.value(argument)
        if name == "Join":
            return str(argument[0]).join(map(str, argument[1]))
        if name == "Select":
            index, items = int(argument[0]), argument[1]
            return items[index] if isinstance(items, list) and index < len(items) else "selected"
        if name == "Split":
            return str(argument[1]).split(str(argument[0]))
        if name == "FindInMap":
            table = self.template.get("Mappings", {}).get(argument[0], {})
            return table.get(argument[1], {}).get(argument[2], "mapped")
        if name == "ImportValue":
            return imported(str(argument), self.region)
        if name == "GetAZs":
            return [f"{self.region}a", f"{self.region}b"]
        if name == "Base64":
            return str(argument)
        if name == "ToJsonString":
            import json

            return json.dumps(argument)
        raise ValueError(f"unknown function Fn::{name}")

    def sub(self, argument):
        text, extra = argument if isinstance(argument, list) else (argument, {})
        extra = self.value(extra)

        def replace(match):
            name = match.group(1).strip()
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in extra:
                return str(extra[name])
            if "." in name:
                return str(self.attribute(*name.split(".", 1)))
            return str(self.ref(name))

        return re.sub(r"\$\{([^}]*)\}", replace, text)

    def ref(self, name):
        if name in self.pseudo:
            return self.pseudo[name]
        parameter = self.template.get("Parameters", {}).get(name)
        if parameter is not None:
            default = parameter.get("Default")
            return default if default not in (None, "") else name.lower()
        resource = self.template["Resources"][name]
        if resource["Type"] in REF_IS_ARN:
            return self.arn(name)
        return self.name(name)

    def attribute(self, logical_id, attribute):
        resource = self.template["Resources"][logical_id]
        # The id of a secret is its ARN.
        is_id_of_secret = attribute == "Id" and resource["Type"] == "AWS::SecretsManager::Secret"
        if attribute.split(".")[-1].endswith("Arn") or is_id_of_secret:
            return self.arn(logical_id)
        if resource["Type"].startswith("Custom::"):
            return imported(attribute, self.region)
        return self.name(logical_id)

    def arn(self, logical_id):
        kind = self.template["Resources"][logical_id]["Type"]
        shape = ARNS.get(kind)
        if shape is None:
            service = kind.split("::")[1].lower() if kind.startswith("AWS::") else "lambda"
            shape = service + ":{r}:{a}:{n}"
        return f"arn:{PARTITION}:" + shape.format(r=self.region, a=ACCOUNT, n=self.name(logical_id))

    def name(self, logical_id):
        resource = self.template["Resources"][logical_id]
        given = resource.get("Properties", {}).get(NAMES.get(resource["Type"], ""))
        if given is not None:
            given = self.value(given)
        if isinstance(given, str):
            return given
        return logical_id.lower() if resource["Type"] == "AWS::S3::Bucket" else logical_id


def imported(name, region):
    """Guesses what an import or a custom resource's answer stands for, by its name."""
    low = name.lower()
    if "arn" not in low:
        return re.sub(r"[^a-z0-9-]", "-", low)
    for word, shape in (
        ("bucket", "s3:::imported"),
        ("role", f"iam::{ACCOUNT}:role/imported"),
        ("function", f"lambda:{region}:{ACCOUNT}:function:imported"),
        ("topic", f"sns:{region}:{ACCOUNT}:imported"),
        ("key", f"kms:{region}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
        ("thinggroup", f"iot:{region}:{ACCOUNT}:thinggroup/imported"),
        ("certificate", f"acm:{region}:{ACCOUNT}:certificate/1234abcd-12ab-34cd-56ef-1234567890ab"),
        ("profile", f"signer:{region}:{ACCOUNT}:/signing-profiles/imported"),
    ):
        if word in low:
            return f"arn:{PARTITION}:{shape}"
    return f"arn:{PARTITION}:iam::{ACCOUNT}:role/imported"
