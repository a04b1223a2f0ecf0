//! Documents of policies, looked at as IAM does before it keeps them.
//!
//! IAM refuses more than what cannot be asked later: versions, names of statements, services
//! of actions, partitions and regions of resources. What passes here is still read by
//! [`Policy`], which says what remains. Where AWS says only that a document is wrong, this
//! says where.

use std::collections::BTreeSet;

use iotstack_local_kernel::Fault;
use iotstack_local_kernel::policy::{DOCUMENT, Policy, STATEMENT, known_members, like};
use serde_json::{Map, Value};

/// The members of a document or a statement.
type Members = Map<String, Value>;

/// Refuses a managed or an inline policy; only the former must be of the newer version.
pub(super) fn check_identity(text: &str, managed: bool) -> Result<(), Fault> {
    let (document, statements) = syntax(text)?;
    let version = document.get("Version").and_then(Value::as_str);
    if managed && version != Some("2012-10-17") {
        return Err(malformed("Policy document must be version 2012-10-17 or greater."));
    }
    statements.iter().try_for_each(legacy)?;
    let mut wrong = None;
    for member in ["Resource", "NotResource"] {
        for statement in &statements {
            if let Some(reason) = wrong_resource(statement, member) {
                wrong = Some(reason);
            } else if wrong.is_none() {
                texts(statement, member).into_iter().try_for_each(legacy_resource)?;
            }
        }
    }
    unique_names(&statements)?;
    if statements.iter().any(|statement| lacks(statement, "Action", "NotAction")) {
        return Err(malformed("Policy statement must contain actions."));
    }
    if let Some(reason) = wrong {
        return Err(malformed(reason));
    }
    statements.iter().try_for_each(actions)?;
    let names_somebody =
        |one: &&Members| one.contains_key("Principal") || one.contains_key("NotPrincipal");
    if statements.iter().any(|statement| names_somebody(&statement)) {
        return Err(malformed("Policy document should not specify a principal."));
    }
    if statements.iter().any(|statement| lacks(statement, "Resource", "NotResource")) {
        return Err(malformed("Policy statement must contain resources."));
    }
    Policy::parse_identity(text).map(drop).map_err(|reason| detailed(SYNTAX, &reason))
}

/// Refuses a policy that says who may take a role.
pub(super) fn check_trust(text: &str) -> Result<(), Fault> {
    let (_, statements) = syntax(text)?;
    statements.iter().try_for_each(legacy)?;
    unique_names(&statements)?;
    for statement in &statements {
        for member in ["Resource", "NotResource"] {
            if statement.contains_key(member) {
                return Err(malformed(format!("Has prohibited field {member}")));
            }
        }
        let known = |pattern: &str| {
            let pattern = pattern.to_ascii_lowercase();
            TAKING.iter().any(|action| like(&pattern, &action.to_ascii_lowercase()))
        };
        if !texts(statement, "Action").into_iter().all(known) {
            return Err(malformed("AssumeRole policy may only specify STS AssumeRole actions."));
        }
    }
    Policy::parse_trust(text).map(drop).map_err(|reason| detailed(SYNTAX, &reason))
}

/// The characters that any document may have, whatever it is for.
const LONGEST: usize = 131_072;

/// The statements of a document that has the shape of a policy.
fn syntax(text: &str) -> Result<(Members, Vec<Members>), Fault> {
    let refuse = |reason: String| detailed(SYNTAX, &reason);
    if text.len() > LONGEST {
        return Err(refuse(format!("it has more than {LONGEST} characters")));
    }
    let document: Value =
        serde_json::from_str(text).map_err(|error| refuse(format!("it is not JSON: {error}")))?;
    let Value::Object(document) = document else {
        return Err(refuse("it must be a JSON object".to_owned()));
    };
    known_members(&document, DOCUMENT).map_err(refuse)?;
    if !document.get("Version").is_none_or(|it| it == "2012-10-17" || it == "2008-10-17") {
        return Err(refuse("Version must be 2012-10-17 or 2008-10-17".to_owned()));
    }
    if document.get("Id").is_some_and(|id| !id.is_string()) {
        return Err(refuse("Id must be a text".to_owned()));
    }
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.clone(),
        Some(single @ Value::Object(_)) => vec![single.clone()],
        _ => return Err(refuse("Statement must be a statement or a list of them".to_owned())),
    };
    let mut read = Vec::with_capacity(statements.len());
    for statement in statements {
        let Value::Object(statement) = statement else {
            return Err(refuse(format!("a statement must be an object, not {statement}")));
        };
        check_statement(&statement).map_err(refuse)?;
        known_members(&statement, STATEMENT).map_err(refuse)?;
        read.push(statement);
    }
    Ok((document, read))
}

fn check_statement(statement: &Members) -> Result<(), String> {
    for (one, other) in [("Resource", "NotResource"), ("Action", "NotAction")] {
        if statement.contains_key(one) && statement.contains_key(other) {
            return Err(format!("{one} and {other} exclude each other"));
        }
        for name in [one, other] {
            let is_list = |value: &Value| {
                value.as_array().is_some_and(|items| items.iter().all(Value::is_string))
            };
            if statement.get(name).is_some_and(|value| !value.is_string() && !is_list(value)) {
                return Err(format!("{name} must be a text or a list of texts"));
            }
        }
    }
    let effect = statement.get("Effect").and_then(Value::as_str).unwrap_or_default();
    if !["allow", "deny"].contains(&effect.to_ascii_lowercase().as_str()) {
        return Err("Effect must be Allow or Deny".to_owned());
    }
    if statement.get("Sid").is_some_and(|sid| !sid.is_string()) {
        return Err("Sid must be a text".to_owned());
    }
    let operators = match statement.get("Condition") {
        None => return Ok(()),
        Some(Value::Object(operators)) => operators,
        Some(_) => return Err("Condition must be an object".to_owned()),
    };
    for (name, keys) in operators {
        let Value::Object(keys) = keys else {
            return Err(format!("condition {name} must be an object of keys"));
        };
        if keys.values().any(|value| value.is_object() || value.is_null()) {
            return Err(format!("condition {name} compares with texts"));
        }
    }
    Ok(())
}

/// What AWS's older reader stumbles over.
fn legacy(statement: &Members) -> Result<(), Fault> {
    if !statement.get("Effect").is_some_and(|effect| effect == "Allow" || effect == "Deny") {
        return Err(detailed(LEGACY, "Effect is written Allow or Deny"));
    }
    let operators = statement.get("Condition").and_then(Value::as_object);
    for (name, keys) in operators.into_iter().flatten() {
        let name = name.rsplit(':').next().unwrap_or(name);
        for key in keys.as_object().into_iter().flat_map(Map::keys) {
            let keys = keys.as_object();
            let values = keys.map(|keys| texts(keys, key)).unwrap_or_default();
            if let Some(date) = values.iter().find(|_| name.starts_with("Date"))
                && !is_date(date)
            {
                return Err(detailed(LEGACY, &format!("`{date}` is no date")));
            }
        }
    }
    Ok(())
}

fn legacy_resource(text: &str) -> Result<(), Fault> {
    let short = text.contains("::") && text.split(':').count() < 6;
    let nameless = text.split(':').nth(2).is_some_and(str::is_empty);
    if text != "*" && (short || nameless) {
        return Err(detailed(LEGACY, &format!("resource `{text}` is no whole ARN")));
    }
    Ok(())
}

/// Names of statements are unique in a document; empty ones are none.
fn unique_names(statements: &[Members]) -> Result<(), Fault> {
    let mut known = BTreeSet::new();
    let mut names = statements.iter().flat_map(|one| texts(one, "Sid"));
    match names.any(|name| !name.is_empty() && !known.insert(name)) {
        true => Err(malformed("Statement IDs (SID) in a single policy must be unique.")),
        false => Ok(()),
    }
}

fn lacks(statement: &Members, one: &str, other: &str) -> bool {
    let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    statement.get(one).or_else(|| statement.get(other)).is_none_or(empty)
}

/// What is wrong with the first resource, in order, that cannot be one.
fn wrong_resource(statement: &Members, member: &str) -> Option<String> {
    let mut resources = texts(statement, member);
    resources.sort_unstable();
    resources.into_iter().find_map(|resource| {
        if resource == "*" {
            return None;
        }
        let Some((_, rest)) = resource.split_once(':') else {
            return Some(format!("Resource {resource} must be in ARN format or \"*\"."));
        };
        let (partition, rest) = match rest.split_once(':') {
            Some((partition, rest)) => (partition, Some(rest)),
            None => (rest, None),
        };
        if partition != "*" && partition != "aws" && !partition.starts_with("aws-") {
            let parts: Vec<&str> = rest.unwrap_or_default().splitn(4, ':').collect();
            let part = |at: usize| match parts.get(at) {
                Some(part) if at > 0 || !part.is_empty() || parts.len() > 1 => *part,
                _ => "*",
            };
            let (service, region, account, name) = (part(0), part(1), part(2), part(3));
            return Some(format!(
                "Partition \"{partition}\" is not valid for resource \
                 \"arn:{partition}:{service}:{region}:{account}:{name}\"."
            ));
        }
        let Some(rest) = rest else {
            let reason = "Resource vendor must be fully qualified and cannot contain regexes.";
            return Some(reason.to_owned());
        };
        let mut parts = rest.splitn(4, ':');
        let service = parts.next().unwrap_or_default();
        let region = parts.next().unwrap_or_default();
        let account = parts.next();
        let name = parts.next();
        match service {
            "iam" if !region.is_empty() => {
                Some(format!("IAM resource {resource} cannot contain region information."))
            }
            "s3" if !region.is_empty() && account == Some("") => {
                Some(format!("Resource {resource} can not contain region information."))
            }
            "iam" if name.is_some_and(|name| !is_of_iam(name)) => Some(format!(
                "IAM resource path must either be \"*\" or start with {}.",
                KINDS.join(", ")
            )),
            _ => None,
        }
    })
}

/// Whether the end of an ARN of IAM can name something of it.
fn is_of_iam(name: &str) -> bool {
    let head = name.split('/').next().unwrap_or(name);
    name == "root"
        || head.contains(['*', '?', '$'])
        || KINDS.iter().any(|kind| name.starts_with(kind))
}

fn actions(statement: &Members) -> Result<(), Fault> {
    for member in ["Action", "NotAction"] {
        for action in texts(statement, member) {
            let Some((service, name)) = action.split_once(':') else {
                if action == "*" {
                    continue;
                }
                return Err(malformed(
                    "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
                ));
            };
            if name.contains(':') {
                return Err(malformed("Actions/Condition can contain only one colon."));
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            if service != "*" && !service.chars().all(plain) {
                return Err(malformed(format!("Vendor {service} is not valid")));
            }
        }
    }
    Ok(())
}

/// The texts of a member that is one or a list of them.
fn texts<'a>(members: &'a Members, member: &str) -> Vec<&'a str> {
    match members.get(member) {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether a text is a moment, in seconds or as ISO 8601 writes it, as far as anybody likes.
fn is_date(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let within = |text: &str, least: u64, most: u64| {
        text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse().is_ok_and(|number: u64| (least..=most).contains(&number))
    };
    if !text.contains(['t', '-']) {
        return within(&text, 0, i64::MAX as u64);
    }
    let (date, time) = text.split_once('t').unwrap_or((&text, ""));
    let date: Vec<&str> = date.strip_prefix('-').unwrap_or(date).split('-').collect();
    let fits = |part: Option<&&str>, least, most| part.is_none_or(|part| within(part, least, most));
    if date.len() > 3
        || !fits(date.first(), 0, 292_278_993)
        || !fits(date.get(1), 1, 12)
        || !fits(date.get(2), 1, 31)
    {
        return false;
    }
    if time.is_empty() {
        return true;
    }
    let (time, zone) = match time.find(['z', '+', '-']) {
        Some(at) => (&time[..at], &time[at..]),
        None => (time, "z"),
    };
    let zone_fits = zone == "z" || {
        let zone: Vec<&str> = zone[1..].split(':').collect();
        zone.iter().all(|part| part.len() == 2)
            && zone.len() <= 2
            && fits(zone.first(), 0, 23)
            && fits(zone.get(1), 0, 59)
    };
    let time: Vec<&str> = time.split(':').collect();
    let (seconds, fraction) = match time.get(2) {
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "0")),
        None => ("0", "0"),
    };
    zone_fits
        && time.len() <= 3
        && fits(time.first(), 0, 23)
        && fits(time.get(1), 0, 59)
        && within(seconds, 0, 59)
        && within(fraction, 0, 999_999_999)
}

fn malformed(message: impl Into<String>) -> Fault {
    Fault::new("MalformedPolicyDocument", 400, message)
}

/// AWS's sentence, and what it leaves out.
fn detailed(sentence: &str, reason: &str) -> Fault {
    malformed(format!("{sentence} ({reason})"))
}

const SYNTAX: &str = "Syntax errors in policy.";
const LEGACY: &str = "The policy failed legacy parsing";

/// What a trust policy may allow.
const TAKING: &[&str] = &[
    "sts:AssumeRole",
    "sts:AssumeRoleWithSAML",
    "sts:AssumeRoleWithWebIdentity",
    "sts:SetContext",
    "sts:SetSourceIdentity",
    "sts:TagSession",
];

/// With what the end of an ARN of IAM begins.
const KINDS: &[&str] = &[
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(statement: Value) -> String {
        let document = json!({"Version": "2012-10-17", "Statement": statement});
        check_identity(&document.to_string(), true)
            .map_or_else(|fault| fault.message, |()| String::new())
    }

    #[test]
    fn what_iam_refuses_is_refused_in_its_words() {
        let with = |member: &str, value: Value| {
            let mut statement = json!({"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"});
            statement[member] = value;
            statement
        };
        assert_eq!(refusal(with("Sid", json!("a"))), "");
        let prefaced = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
        for (member, value, message) in [
            ("Effect", json!("May"), "Syntax errors in policy. (Effect"),
            ("Effect", json!("allow"), "The policy failed legacy parsing (Effect"),
            ("Sid", json!({}), "Syntax errors in policy. (Sid"),
            ("Condition", json!({"Bool": []}), "Syntax errors in policy. (condition Bool"),
            ("Condition", json!({"Like": {"a": "b"}}), "Syntax errors in policy. ("),
            ("Else", json!("x"), "Syntax errors in policy. (`Else`"),
            ("NotAction", json!("x"), "Syntax errors in policy. (Action and NotAction"),
            ("Principal", json!("*"), "Policy document should not specify a principal."),
            ("Action", json!([]), "Policy statement must contain actions."),
            ("Action", json!("get"), prefaced),
            ("Action", json!("s3:a:b"), "Actions/Condition can contain only one colon."),
            ("Action", json!("a a:b"), "Vendor a a is not valid"),
            ("Resource", json!([]), "Policy statement must contain resources."),
            ("Resource", json!("all"), "Resource all must be in ARN format or \"*\"."),
            (
                "Resource",
                json!("arn:b:c"),
                "Partition \"b\" is not valid for resource \"arn:b:c:*:*:*\".",
            ),
            ("Resource", json!("arn:aws"), "Resource vendor must be fully qualified"),
            ("Resource", json!("arn:aws:s3::b"), "The policy failed legacy parsing (resource"),
            (
                "Resource",
                json!("arn:aws:iam:eu-west-1::x"),
                "IAM resource arn:aws:iam:eu-west-1::x cannot",
            ),
            ("Resource", json!("arn:aws:iam::1:x"), "IAM resource path must either be \"*\" or"),
            (
                "Resource",
                json!("arn:aws:s3:eu-west-1::x"),
                "Resource arn:aws:s3:eu-west-1::x can not",
            ),
        ] {
            let said = refusal(with(member, value.clone()));
            assert!(said.starts_with(message), "{member} {value}: {said}");
        }
        let twice = json!([with("Sid", json!("a")), with("Sid", json!("a"))]);
        assert_eq!(refusal(twice), "Statement IDs (SID) in a single policy must be unique.");
        let old =
            json!({"Version": "2008-10-17", "Statement": with("Sid", json!("a"))}).to_string();
        check_identity(&old, false).unwrap();
        assert!(check_identity(&old, true).unwrap_err().message.contains("2012-10-17 or greater"));
    }

    #[test]
    fn a_trust_policy_speaks_of_taking_the_role() {
        let with = |action: &str, resource: Option<&str>| {
            let mut statement =
                json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": action});
            if let Some(resource) = resource {
                statement["Resource"] = json!(resource);
            }
            let document = json!({"Version": "2012-10-17", "Statement": [statement]});
            check_trust(&document.to_string()).map_err(|fault| fault.message)
        };
        with("sts:AssumeRole", None).unwrap();
        with("sts:*", None).unwrap();
        assert!(with("sts:Take", None).unwrap_err().contains("STS AssumeRole actions"));
        assert_eq!(with("sts:AssumeRole", Some("*")).unwrap_err(), "Has prohibited field Resource");
    }

    #[test]
    fn dates_are_as_long_as_they_like() {
        for date in [
            "0",
            "2016",
            "2016-12",
            "-5-01-31",
            "2016-12-13t2:00:00.5+10:10",
            "2020-01-01T00:00:00Z",
        ] {
            assert!(is_date(date), "{date}");
        }
        for date in
            ["x", "234-13", "9223372036854775808", "2016-12-13t2:00:00.5+1", "2016-01-01t25:00", ""]
        {
            assert!(!is_date(date), "{date}");
        }
    }
}
