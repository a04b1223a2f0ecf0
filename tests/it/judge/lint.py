"""Three judges over any number of templates, in one process.

Reads from standard input `{"templates": [{"name", "path", "region"}], "allowed":
[{"judge", "rule", "type"?, "message"?, "reason"}]}` and writes to standard output
`{"findings": [...], "allowed": [...], "unused": [...], "judged": {...}}`:
everything that no allowance explains, what one did, and allowances that met
nothing. `judged` counts what was looked at, so that a caller can tell "no
findings" from "nothing judged".

One process, because each judge takes longer to load its tables than to judge a
template. Whether a finding matters is decided by the caller; this only drops the
informational ones.
"""

import contextlib
import json
import re
import sys

import resolve


def main():
    request = json.load(sys.stdin)
    judged = {"templates": 0, "policies": 0}
    findings = []
    # The judges print and warn as they like; standard output is ours.
    with contextlib.redirect_stdout(sys.stderr):
        templates = []
        for entry in request["templates"]:
            with open(entry["path"], encoding="utf-8") as file:
                text = file.read()
            templates.append({**entry, "text": text, "data": json.loads(text)})
            judged["templates"] += 1
        findings += by_cfn_lint(templates)
        findings += by_cloudformation_validate(templates)
        policies = [p for t in templates for p in policies_of(t)]
        judged["policies"] = len(policies)
        findings += by_parliament(policies)
    print(json.dumps(sort_out(findings, request.get("allowed", []), judged), indent=1))


def by_cfn_lint(templates):
    sys.argv = ["cfn-lint"]  # its configuration reads the command line
    from cfnlint.api import ManualArgs, lint

    found = []
    for template in templates:
        arguments = ManualArgs(regions=[template["region"]])
        for match in lint(template["text"], config=arguments):
            if match.rule.severity == "informational":
                continue
            path = [str(step) for step in getattr(match, "path", None) or []]
            found.append(
                finding("cfn-lint", template, match.rule.id, match.rule.severity, "/".join(path), match.message)
            )
    return found


def by_cloudformation_validate(templates):
    from cloudformation_validate import (
        CompositeEngine,
        PseudoParameterOverrides,
        Severity,
        TemplateContent,
        ValidateConfig,
    )

    engine = CompositeEngine()
    found = []
    for template in templates:
        config = ValidateConfig(
            severity_level=Severity.WARN,
            pseudo_parameter_overrides=PseudoParameterOverrides(region=template["region"]),
        )
        report = engine.validate_template(TemplateContent(template["text"], template["name"]), config)
        for item in report.diagnostics:
            where = getattr(item.entity, "logical_id", None) if getattr(item, "entity", None) else None
            where = where or getattr(item, "resource_id", None) or getattr(item, "logical_id", None) or ""
            prop = getattr(item, "property_path", None) or ""
            path = f"Resources/{where}/{prop}".rstrip("/")
            found.append(
                finding("cloudformation-validate", template, item.rule_id, item.severity.name.lower(), path, item.message)
            )
    return found


def by_parliament(policies):
    import parliament

    found = []
    for template, place, document in policies:
        text = json.dumps(with_resources(document) if place.endswith("AssumeRolePolicyDocument") else document)
        # `${iot:…}` and `${aws:…}` are filled in by the service when it
        # evaluates the policy; to parliament they are malformed ARNs.
        text = re.sub(r"\$\{(iot|aws|cognito-identity|s3|ec2):[^}]*\}", "variable", text)
        for item in parliament.analyze_policy_string(text).findings:
            item = parliament.enhance_finding(item)
            if item.severity == "MUTE":
                continue
            # In a key's own policy `*` is that key, and nothing else can stand there.
            if item.issue == "RESOURCE_STAR" and place.endswith("KeyPolicy"):
                continue
            # One finding each, so that an allowance for one action hides no other.
            for detail in item.detail if isinstance(item.detail, list) else [item.detail]:
                detail = detail if isinstance(detail, str) else json.dumps(detail, default=str)
                message = f"{item.title}: {detail}"
                found.append(finding("parliament", template, item.issue, item.severity.lower(), place, message))
    return found


def with_resources(document):
    """A trust policy is about its role and names no resource; parliament wants one."""
    statements = document["Statement"]
    statements = statements if isinstance(statements, list) else [statements]
    role = f"arn:{resolve.PARTITION}:iam::{resolve.ACCOUNT}:role/judged"
    return {**document, "Statement": [{"Resource": role, **statement} for statement in statements]}


def policies_of(template):
    """Yields every policy document in the template, with both branches of each `Fn::If`."""
    data = template["data"]
    for logical_id, resource in data.get("Resources", {}).items():
        seen = []
        for choose in (True, False):
            resolver = resolve.Resolver(data, template["region"], choose)
            properties = resolver.value(resource.get("Properties", {}))
            for place, document in documents(properties, f"Resources/{logical_id}/Properties"):
                if document not in seen:
                    seen.append(document)
                    yield template, place, document


def documents(node, place):
    """Finds policy documents by their shape, as objects or as JSON in a string."""
    if isinstance(node, str) and '"Statement"' in node:
        with contextlib.suppress(json.JSONDecodeError):
            node = json.loads(node)
    if isinstance(node, dict):
        if "Statement" in node:
            yield place, node
            return
        for key, child in node.items():
            yield from documents(child, f"{place}/{key}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from documents(child, f"{place}/{index}")


def finding(judge, template, rule, severity, path, message):
    parts = path.split("/")
    logical_id = parts[1] if len(parts) > 1 and parts[0] == "Resources" else ""
    resource = template["data"].get("Resources", {}).get(logical_id, {})
    return {
        "judge": judge,
        "template": template["name"],
        "rule": rule,
        "severity": severity,
        "path": path,
        "type": resource.get("Type", ""),
        "message": message if len(message) <= 400 else message[:400] + "…",
    }


def sort_out(findings, allowances, judged):
    used = set()
    left, explained = [], []
    for item in findings:
        for index, allowance in enumerate(allowances):
            if explains(allowance, item):
                used.add(index)
                explained.append({**item, "reason": allowance["reason"]})
                break
        else:
            left.append(item)
    unused = [a for i, a in enumerate(allowances) if i not in used]
    return {"findings": left, "allowed": explained, "unused": unused, "judged": judged}


def explains(allowance, item):
    return (
        allowance["judge"] == item["judge"]
        and allowance["rule"] == item["rule"]
        and allowance.get("type", item["type"]) == item["type"]
        and re.search(allowance.get("message", ""), item["message"]) is not None
    )


if __name__ == "__main__":
    main()
