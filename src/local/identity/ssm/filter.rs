//! Filters of lists of parameters: what may be asked where, and what fits.
//!
//! Parameters below a path are filtered by less than all parameters are, as those below a
//! path come with their values. What AWS says of a wrong filter is said here too.

use iotstack_local_kernel::{Fault, loose, violation, violations};
use serde_json::{Map, Value};

use super::parameter::{Kind, Parameter, TIERS};
use super::plain;

/// A filter.
#[derive(Debug)]
pub(super) struct Filter {
    key: String,
    option: String,
    values: Vec<String>,
}

/// Which operation is filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Described,
    ByPath,
}

impl Filter {
    /// The filters of an input.
    pub(super) fn read_all(input: &Map<String, Value>, asked: Asked) -> Result<Vec<Self>, Fault> {
        let new = loose::list(input, "ParameterFilters")?;
        let old = loose::list(input, "Filters")?;
        if !new.is_empty() && !old.is_empty() {
            let reason = "You can use either Filters or ParameterFilters in a single request.";
            return Err(Fault::new("ValidationException", 400, reason));
        }
        let wrong: Vec<String> = new
            .iter()
            .enumerate()
            .flat_map(|(place, filter)| constraints(place + 1, filter))
            .collect();
        if !wrong.is_empty() {
            return Err(Fault::new("ValidationException", 400, violations(&wrong)));
        }
        let mut found: Vec<Filter> = Vec::new();
        for filter in new.iter().chain(&old) {
            let filter = Filter::read(filter, asked)?;
            if found.iter().any(|known| known.key == filter.key) {
                let reason = format!(
                    "The following filter is duplicated in the request: {}. A request can contain \
                     only one occurrence of a specific filter.",
                    filter.key
                );
                return Err(Fault::new("InvalidFilterKey", 400, reason));
            }
            found.push(filter);
        }
        Ok(found)
    }

    fn read(filter: &Value, asked: Asked) -> Result<Self, Fault> {
        let key = filter["Key"].as_str().unwrap_or_default().to_owned();
        let is_tag = key.starts_with("tag:") && asked == Asked::Described;
        let known: &[&str] = match asked {
            Asked::Described => &["Path", "Name", "Type", "KeyId", "Tier", "DataType"],
            Asked::ByPath => &["Type", "KeyId", "Label"],
        };
        if !is_tag && !known.contains(&key.as_str()) {
            return Err(invalid("Key", &key, "filter keys", known));
        }
        let option = filter["Option"].as_str();
        let options: &[&str] = match (key.as_str(), asked) {
            ("Path", _) => &["Recursive", "OneLevel"],
            ("Label", _) => &["Equals"],
            ("Name", _) => &["BeginsWith", "Equals", "Contains"],
            _ => &["BeginsWith", "Equals"],
        };
        if let Some(option) = option.filter(|option| !options.contains(option)) {
            return Err(invalid("Option", option, "options", options));
        }
        let values = filter["Values"].as_array().into_iter().flatten();
        let values: Vec<String> = values.filter_map(Value::as_str).map(str::to_owned).collect();
        if values.is_empty() && !is_tag {
            let reason =
                format!("The following filter values are missing : null for filter key {key}");
            return Err(Fault::new("InvalidFilterValue", 400, reason));
        }
        let only: Option<Vec<&str>> = match key.as_str() {
            "Tier" => Some(TIERS.to_vec()),
            "Type" => Some(Kind::ALL.map(Kind::name).to_vec()),
            _ => None,
        };
        // A type may be named by its beginning alone.
        if let Some(only) = only.filter(|_| option != Some("BeginsWith"))
            && let Some(other) = values.iter().find(|value| !only.contains(&value.as_str()))
        {
            return Err(invalid("Value", other, "values", &only));
        }
        if key == "Path" {
            values.iter().try_for_each(|path| check_path(path))?;
        }
        Ok(Filter { key, option: option.unwrap_or("Equals").to_owned(), values })
    }

    /// Whether a parameter fits.
    pub(super) fn fits(&self, parameter: &Parameter) -> bool {
        let newest = parameter.newest();
        let rooted = parameter.rooted();
        let texts: Vec<&str> = match self.key.as_str() {
            "Name" => vec![&parameter.name, plain(&parameter.name), &rooted],
            "Type" => vec![newest.kind.name()],
            "KeyId" => newest.key.as_deref().into_iter().collect(),
            "Tier" => vec![&newest.tier],
            "DataType" => vec!["text"],
            "Label" => newest.labels.iter().map(String::as_str).collect(),
            "Path" => {
                let recursive = self.option == "Recursive";
                return self.values.iter().any(|path| parameter.is_below(path, recursive));
            }
            tag => {
                let value = tag.strip_prefix("tag:").and_then(|tag| parameter.tags.get(tag));
                if self.values.is_empty() {
                    return value.is_some();
                }
                value.map(String::as_str).into_iter().collect()
            }
        };
        texts.iter().any(|text| {
            self.values.iter().any(|value| match self.option.as_str() {
                "BeginsWith" => text.starts_with(value),
                "Contains" => text.contains(value),
                _ => text == value,
            })
        })
    }
}

/// What the API's model does not allow in a filter.
fn constraints(place: usize, filter: &Value) -> Vec<String> {
    let at = |value: &str, member: &str, wanted: &str| {
        violation(&format!("parameterFilters.{place}.member.{member}"), Some(value), wanted)
    };
    let key = filter["Key"].as_str().unwrap_or_default();
    let option = filter["Option"].as_str().unwrap_or_default();
    let values: Vec<&str> =
        filter["Values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut found = Vec::new();
    let is_tag = key.strip_prefix("tag:").is_some_and(|tag| !tag.is_empty());
    if !is_tag && !KEYS.contains(&key) {
        let keys = KEYS.join("|");
        let pattern = format!("Member must satisfy regular expression pattern: tag:.+|{keys}");
        found.push(at(key, "key", &pattern));
    }
    if key.chars().count() > 132 {
        found.push(at(key, "key", "Member must have length less than or equal to 132"));
    }
    if option.chars().count() > 10 {
        found.push(at(option, "option", "Member must have length less than or equal to 10"));
    }
    let all = || format!("[{}]", values.join(", "));
    if values.len() > 50 {
        found.push(at(&all(), "values", "Member must have length less than or equal to 50"));
    }
    if values.iter().any(|value| value.is_empty() || value.chars().count() > 1024) {
        let wanted = "[Member must have length less than or equal to 1024, Member must have \
                      length greater than or equal to 1]";
        found.push(at(&all(), "values", &format!("Member must satisfy constraint: {wanted}")));
    }
    found
}

fn check_path(path: &str) -> Result<(), Fault> {
    let refuse = |reason: &str| Err(Fault::new("InvalidFilterValue", 400, reason));
    let first = path.trim_start_matches('/').to_lowercase();
    if first.starts_with("aws") || first.starts_with("ssm") {
        return refuse(
            "Filters for common parameters can't be prefixed with \"aws\" or \"ssm\" \
             (case-insensitive).",
        );
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !path.starts_with('/') || path.contains("//") || !path.chars().all(plain) {
        return refuse(
            "The parameter doesn't meet the parameter name requirements. The parameter name must \
             begin with a forward slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" \
             (case-insensitive). It must use only letters, numbers, or the following symbols: . \
             (period), - (hyphen), _ (underscore). Special characters are not allowed. All \
             sub-paths, if specified, must use the forward slash symbol \"/\". Valid example: \
             /get/parameters2-/by1./path0_.",
        );
    }
    Ok(())
}

/// What a filter must not say, and what it may.
fn invalid(part: &str, given: &str, valid: &str, known: &[&str]) -> Fault {
    let reason = format!(
        "The following filter {} is not valid: {given}. Valid {valid} include: [{}].",
        part.to_lowercase(),
        known.join(", ")
    );
    Fault::new(format!("InvalidFilter{part}"), 400, reason)
}

/// What a filter can look at, besides tags.
const KEYS: [&str; 7] = ["Name", "Type", "KeyId", "Path", "Label", "Tier", "DataType"];
