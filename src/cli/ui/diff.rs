//! How differences look: the signs that `cdk diff` made usual, and what they cost in words.
//!
//! `[+]` is made, `[~]` changed, `[-]` deleted, `[←]` taken in or left behind. A
//! replacement or deletion says so on the resource's line, the property that causes it on
//! its own. Permissions come first, as a table, because they are what a reviewer must see.

use iotstack_assembly::diff::{
    Effect, Impact, PropertyChange, Replacement, ResourceChange, SectionChange, TemplateDiff,
    describe_value,
};
use iotstack_deploy::change_set::{self, Change, ChangeAction};
use serde_json::Value;

use super::style;
use super::table::table;

/// The differences of two templates as text for a terminal of so many columns, or for a
/// pipe; empty if there are none.
pub fn text(diff: &TemplateDiff, width: Option<usize>) -> String {
    let mut blocks = Vec::new();
    blocks.extend(permissions(diff, width));
    let mut section = "";
    let mut lines = Vec::new();
    for change in &diff.sections {
        if change.section != section {
            section = change.section;
            lines.push(style::strong(section));
        }
        lines.push(section_line(change));
    }
    if !lines.is_empty() {
        blocks.push(lines.join("\n"));
    }
    if !diff.resources.is_empty() {
        let mut lines = vec![style::strong("Resources")];
        lines.extend(diff.resources.iter().map(resource));
        blocks.push(lines.join("\n"));
    }
    for rename in &diff.possible_renames {
        blocks.push(format!("{}: {rename}", style::care("warning")));
    }
    blocks.join("\n\n")
}

/// The permissions that appear and disappear, if any do: as a table, or one below the other
/// where the table is wider than the terminal.
pub fn permissions(diff: &TemplateDiff, width: Option<usize>) -> Option<String> {
    let permissions = &diff.permissions;
    let mut rows = Vec::new();
    for (sign, statements) in [("+", &permissions.added), ("-", &permissions.removed)] {
        for statement in statements {
            let effect = match statement.effect {
                Effect::Allow => "Allow",
                Effect::Deny => "Deny",
            };
            rows.push([
                sign.to_owned(),
                effect.to_owned(),
                // One per line: a policy may name many, and a line of them is not read.
                statement.principals.join("\n"),
                statement.actions.join("\n"),
                statement.resources.join("\n"),
                statement.condition.as_ref().map(describe_value).unwrap_or_default(),
            ]);
        }
    }
    let mut blocks = Vec::new();
    if !rows.is_empty() {
        let headings = ["", "effect", "who", "may do", "on", "if"];
        let wide = table(&headings, rows.clone());
        let text = if width.is_none_or(|width| fits(&wide, width)) { wide } else { stanzas(&rows) };
        blocks.push(format!("{}\n{text}", style::strong("Permissions")));
    }
    let mut rows = Vec::new();
    for (sign, attachments) in [("+", &permissions.attached), ("-", &permissions.detached)] {
        for one in attachments {
            rows.push([sign.to_owned(), one.kind.to_owned(), one.target.clone(), one.what.clone()]);
        }
    }
    if !rows.is_empty() {
        blocks.push(format!(
            "{}\n{}",
            style::strong("Managed policies and network rules"),
            table(&["", "kind", "on", "what"], rows)
        ));
    }
    (!blocks.is_empty()).then(|| blocks.join("\n\n"))
}

fn fits(text: &str, width: usize) -> bool {
    let plain = anstream::adapter::strip_str(text).to_string();
    plain.lines().all(|line| line.chars().count() <= width)
}

/// Permissions one below the other, each with what it may do on indented lines.
fn stanzas(rows: &[[String; 6]]) -> String {
    let mut lines = Vec::new();
    for [sign, effect, who, actions, resources, condition] in rows {
        let sign = if sign == "+" { style::good(sign) } else { style::bad(sign) };
        lines.push(format!("{sign} {effect} {}", who.replace('\n', ", ")));
        for (word, values) in [("may do", actions), ("on", resources), ("if", condition)] {
            for (place, value) in values.lines().enumerate() {
                lines.push(format!("    {:<6}  {value}", if place == 0 { word } else { "" }));
            }
        }
    }
    lines.join("\n")
}

/// What a change set does, as text.
pub fn change_set(changes: &[Change]) -> String {
    let mut lines = vec![style::strong("Resources")];
    for change in changes {
        let mut line = format!(
            "{} {} {}",
            action_sign(change.action),
            change.resource_type,
            change.logical_id
        );
        if let Some(physical) = &change.physical_id {
            line += &format!(" {}", style::faint(physical));
        }
        let kept = matches!(change.policy_action.as_deref(), Some("Retain" | "ReplaceAndRetain"));
        match (change.action, change.replacement) {
            (ChangeAction::Remove, _) if kept => line += &format!(" {}", style::care("orphan")),
            (ChangeAction::Remove, _) => line += &format!(" {}", style::bad("destroy")),
            (_, change_set::Replacement::Yes) => line += &format!(" {}", style::bad("replace")),
            (_, change_set::Replacement::Maybe) => {
                line += &format!(" {}", style::care("may be replaced"));
            }
            (_, change_set::Replacement::No) => {}
        }
        lines.push(line);
        for detail in &change.details {
            let name = detail.property.as_ref().unwrap_or(&detail.attribute);
            let mut line = format!("    {name}");
            if detail.before.is_some() || detail.after.is_some() {
                let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".into());
                line += &format!(
                    ": {} → {}",
                    style::bad(side(&detail.before)),
                    style::good(side(&detail.after))
                );
            }
            if detail.replacement == change_set::Replacement::Yes {
                line += &style::bad(" (requires replacement)");
            }
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// Whether a change set deletes or replaces anything that is not kept.
pub fn change_set_destroys(changes: &[Change]) -> bool {
    changes.iter().any(|change| {
        let kept = matches!(change.policy_action.as_deref(), Some("Retain" | "ReplaceAndRetain"));
        !kept
            && (change.action == ChangeAction::Remove
                || change.replacement != change_set::Replacement::No)
    })
}

fn resource(change: &ResourceChange) -> String {
    let sign = match change.impact {
        Impact::Create => style::good("[+]"),
        Impact::Destroy => style::bad("[-]"),
        Impact::Orphan => style::care("[←]"),
        Impact::Update | Impact::MayReplace | Impact::Replace => style::care("[~]"),
    };
    let mut line = format!("{sign} {}", change.kind());
    if let Some(construct) = &change.construct {
        line += &format!(" {construct}");
    }
    line += &format!(" {}", style::faint(&change.logical_id));
    line += &match (change.impact, change.keeps_old) {
        (Impact::Destroy, _) => style::bad(" destroy"),
        (Impact::Orphan, _) => style::care(" orphan (stays in the account)"),
        (Impact::Replace, false) => style::bad(" replace"),
        (Impact::Replace, true) => style::care(" replace (the old one stays in the account)"),
        (Impact::MayReplace, _) => style::care(" may be replaced"),
        (Impact::Create | Impact::Update, _) => String::new(),
    };
    let mut lines = vec![line];
    if change.changes_type() {
        lines.push(format!(
            "    {}: {} → {} (CloudFormation refuses to change the type of a logical id)",
            style::bad("type"),
            change.old_type.as_deref().unwrap_or_default(),
            change.new_type.as_deref().unwrap_or_default()
        ));
    }
    for one in change.properties.iter().chain(&change.attributes) {
        lines.push(property(one));
    }
    lines.join("\n")
}

fn property(change: &PropertyChange) -> String {
    let name = change.path.join(".");
    let mut line = match (&change.old, &change.new) {
        (Some(old), Some(new)) if old == new => {
            format!("    {} {name}: {}", style::care("~"), short(new))
        }
        (Some(old), Some(new)) => format!(
            "    {} {name}: {} → {}",
            style::care("~"),
            style::bad(short(old)),
            style::good(short(new))
        ),
        (None, Some(new)) => format!("    {} {name}: {}", style::good("+"), short(new)),
        (Some(old), None) => format!("    {} {name}: {}", style::bad("-"), short(old)),
        (None, None) => format!("    {} {name}", style::care("~")),
    };
    match change.replacement {
        Replacement::Always => line += &style::bad(" (requires replacement)"),
        Replacement::Conditional => line += &style::care(" (may require replacement)"),
        Replacement::Never => {}
    }
    if let Some(cause) = &change.caused_by {
        line += &format!(" because {cause} is replaced");
    }
    line
}

fn section_line(change: &SectionChange) -> String {
    let sign = match (&change.old, &change.new) {
        (None, _) => style::good("[+]"),
        (_, None) => style::bad("[-]"),
        _ => style::care("[~]"),
    };
    let name = &change.name;
    let colon = if name.is_empty() { "" } else { ": " };
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => {
            format!("{sign} {name}{colon}{} → {}", style::bad(short(old)), style::good(short(new)))
        }
        (None, Some(value)) | (Some(value), None) => {
            format!("{sign} {name}{colon}{}", short(value))
        }
        (None, None) => format!("{sign} {name}"),
    }
}

/// A value in one line that fits on a screen; policies and dashboards can be long.
fn short(value: &Value) -> String {
    const LONGEST: usize = 400;
    let text = describe_value(value);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn action_sign(action: ChangeAction) -> String {
    match action {
        ChangeAction::Add => style::good("[+]"),
        ChangeAction::Modify | ChangeAction::Dynamic => style::care("[~]"),
        ChangeAction::Remove => style::bad("[-]"),
        ChangeAction::Import => style::note("[←]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iotstack_assembly::Template;
    use iotstack_assembly::diff::{NoFacts, diff};
    use serde_json::json;

    fn compare(old: Value, new: Value) -> String {
        let read = |resources| Template::from_value(json!({"Resources": resources})).unwrap();
        let diff = diff(&read(old), &read(new), &NoFacts);
        anstream::adapter::strip_str(&text(&diff, None)).to_string()
    }

    #[test]
    fn shows_what_is_made_changed_and_deleted() {
        let shown = compare(
            json!({"Old": {"Type": "AWS::SNS::Topic"},
                "Kept": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": "a"}}}),
            json!({"New": {"Type": "AWS::SQS::Queue"},
                "Kept": {"Type": "AWS::IoT::Thing", "Properties": {"ThingName": "b"}}}),
        );
        assert_eq!(
            shown,
            "Resources\n\
             [-] AWS::SNS::Topic Old destroy\n\
             [+] AWS::SQS::Queue New\n\
             [~] AWS::IoT::Thing Kept may be replaced\n    \
             ~ ThingName: a → b (may require replacement)"
        );
    }

    #[test]
    fn nothing_is_shown_when_nothing_differs() {
        assert_eq!(compare(json!({}), json!({})), "");
    }

    #[test]
    fn permissions_stand_below_each_other_where_a_table_does_not_fit() {
        let role = json!({"Role": {"Type": "AWS::IAM::Role", "Properties": {
            "AssumeRolePolicyDocument": {"Statement": []},
            "Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": [{"Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::b/*"}]}}]}}});
        let read = |resources| Template::from_value(json!({"Resources": resources})).unwrap();
        let diff = diff(&read(json!({})), &read(role), &NoFacts);
        let shown = |width| {
            let text = permissions(&diff, width).unwrap();
            anstream::adapter::strip_str(&text).to_string()
        };
        assert_eq!(
            shown(Some(40)),
            "Permissions\n\
             + Allow ${Role}\n    \
             may do  s3:GetObject\n            \
             s3:PutObject\n    \
             on      arn:aws:s3:::b/*"
        );
        assert_eq!(shown(Some(200)), shown(None));
        assert!(shown(None).contains("EFFECT"));
    }

    #[test]
    fn a_long_value_is_cut() {
        assert!(short(&json!("x".repeat(1000))).chars().count() < 500);
    }
}
