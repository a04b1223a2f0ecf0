//! `iotstack.yaml`: the app, its environments and their parameters.
//!
//! The file is optional: without it the ready stacks are taken, with the environments
//! `dev`, `staging` and `prod`. A key that is not known is refused with its line, its
//! column and the nearest known name, because a misspelt key that is ignored is a
//! deployment that is not what was written.
//!
//! Only the shape is judged here. What the parameters mean is the stacks' business.

use std::fmt;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde_json::{Map, Value};

use super::error::{Error, Result};

/// The name of the file in the current folder.
pub const FILE: &str = "iotstack.yaml";

/// Where synthesis puts the assembly unless told otherwise.
pub const OUTPUT: &str = "iotstack.out";

/// The environments of a project that names none.
const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "prod"];

/// What `iotstack.yaml` says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A command or a folder with an assembly; the ready stacks if missing.
    #[serde(default)]
    pub app: Option<String>,
    /// The folder for the assembly.
    #[serde(default)]
    pub output: Option<PathBuf>,
    /// Values for the app's context.
    #[serde(default)]
    pub context: Map<String, Value>,
    /// Parameters of the stacks in every environment.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// The environments by name.
    #[serde(default)]
    pub environments: IndexMap<String, Option<Environment>>,
    /// The bootstrap stack.
    #[serde(default)]
    pub toolkit: Toolkit,
    /// The folder that paths start from.
    #[serde(skip)]
    pub folder: PathBuf,
    /// The file, as the user named it; missing if there is none.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// One environment.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// The twelve digits of the account it lives in.
    #[serde(default, deserialize_with = "account")]
    pub account: Option<String>,
    /// Its region.
    #[serde(default, deserialize_with = "region")]
    pub region: Option<String>,
    /// The profile with its credentials.
    #[serde(default)]
    pub profile: Option<String>,
    /// Parameters that differ here.
    #[serde(default)]
    pub parameters: Map<String, Value>,
}

/// Which bootstrap stack is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toolkit {
    /// The qualifier in the names of its bucket and roles.
    #[serde(default)]
    pub qualifier: Option<String>,
    /// Its name.
    #[serde(default)]
    pub stack_name: Option<String>,
}

impl Toolkit {
    /// AWS would refuse these only when something is deployed.
    fn check(&self) -> Result<(), String> {
        let word = |text: &str, longest, others: &[char]| {
            (1..=longest).contains(&text.len())
                && text
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || others.contains(&letter))
        };
        match (&self.qualifier, &self.stack_name) {
            (Some(qualifier), _) if !word(qualifier, 10, &['_', '-']) => Err(format!(
                "toolkit.qualifier `{qualifier}` is not valid: expected 1 to 10 letters, digits, \
                 `_` or `-`"
            )),
            (_, Some(name))
                if !(word(name, 128, &['-'])
                    && name.starts_with(|c: char| c.is_ascii_alphabetic())) =>
            {
                Err(format!(
                    "toolkit.stack_name `{name}` is not valid: expected at most 128 letters, \
                     digits and hyphens, a letter first"
                ))
            }
            _ => Ok(()),
        }
    }
}

impl Config {
    /// Reads the file that was named, or the one in the current folder if there is one.
    pub fn load(named: Option<&Path>) -> Result<Self> {
        let path = named.unwrap_or(Path::new(FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                // Ignored without a word, it would bring the ready stacks to AWS instead.
                if Path::new("iotstack.yml").exists() {
                    return Err(Error::usage(format!("iotstack.yml is not read: expected {FILE}"))
                        .hint("rename it, or name it with `--config iotstack.yml`"));
                }
                return Config::default().finish(PathBuf::new(), None);
            }
            Err(error) => {
                return Err(Error::usage(format!("cannot read {}: {error}", path.display())));
            }
        };
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Config::parse(&text, path)?.finish(folder, Some(path.to_owned()))
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        // A file of comments only is an empty file.
        let parsed: Option<Config> =
            serde_yaml::from_str(text).map_err(|error| refusal(path, &error))?;
        // Of two environments with one name the last would win; plain YAML refuses them.
        let _: serde_yaml::Value =
            serde_yaml::from_str(text).map_err(|error| refusal(path, &error))?;
        Ok(parsed.unwrap_or_default())
    }

    fn finish(mut self, folder: PathBuf, file: Option<PathBuf>) -> Result<Self> {
        if self.environments.is_empty() {
            self.environments = ENVIRONMENTS.map(|name| (name.to_owned(), None)).into();
        }
        for name in self.environments.keys() {
            check_name(name).map_err(|why| self_error(file.as_deref(), &why))?;
        }
        self.toolkit.check().map_err(|why| self_error(file.as_deref(), &why))?;
        (self.folder, self.file) = (folder, file);
        Ok(self)
    }

    /// The environment that was asked for, or the one that is meant if none was: `dev`,
    /// or the only one.
    pub fn environment(&self, named: Option<&str>) -> Result<(String, Environment)> {
        let list = || quoted(self.environments.keys().map(String::as_str));
        let name = match named {
            Some(name) => name,
            None if self.environments.contains_key("dev") => "dev",
            None => match self.environments.keys().next() {
                Some(only) if self.environments.len() == 1 => only,
                _ => {
                    return Err(Error::usage(format!(
                        "no environment was chosen; there are {}",
                        list()
                    ))
                    .hint("choose one with `--env NAME`"));
                }
            },
        };
        match self.environments.get(name) {
            Some(found) => Ok((name.to_owned(), found.clone().unwrap_or_default())),
            None => {
                let error = Error::usage(format!(
                    "there is no environment `{name}` in {}; there are {}",
                    self.origin(),
                    list()
                ));
                let names = self.environments.keys().map(String::as_str);
                Err(match iotstack_schema::nearest(name, names) {
                    Some(near) => error.hint(format!("did you mean `--env {near}`?")),
                    None => error,
                })
            }
        }
    }

    /// The file's name, for messages.
    pub fn origin(&self) -> String {
        match &self.file {
            Some(file) => file.display().to_string(),
            None => format!("this project (it has no {FILE})"),
        }
    }
}

/// Lays `over` on `under`: objects are merged, everything else is replaced.
pub fn merge(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => merge(under, over),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// A list of names as text: `a`, `b` and `c`.
pub fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "none".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The names of environments become parts of stack names.
fn check_name(name: &str) -> Result<(), String> {
    let fits = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.len() <= 32
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    if fits {
        return Ok(());
    }
    Err(format!(
        "environment name `{name}` is not valid: it becomes part of stack names, so it has at \
         most 32 letters, digits and hyphens and starts with a letter"
    ))
}

fn self_error(file: Option<&Path>, why: &str) -> Error {
    let file = file.unwrap_or(Path::new(FILE));
    Error::usage(format!("{}: {why}", file.display()))
}

/// Says where the file is wrong, and for an unknown key what was probably meant.
fn refusal(path: &Path, error: &serde_yaml::Error) -> Error {
    let text = error.to_string();
    let place = match error.location() {
        Some(at) => format!("{}:{}:{}", path.display(), at.line(), at.column()),
        None => path.display().to_string(),
    };
    // The position is said once, in front.
    let text = match text.rfind(" at line ") {
        Some(end) => &text[..end],
        None => &text,
    };
    let Some((parent, rest)) = text.split_once("unknown field `") else {
        let error = Error::usage(format!("{place}: {}", in_words_of_yaml(text)));
        return if text.contains("cannot start any token") {
            error.hint("YAML is indented with spaces, not with tabs; text that begins with a sign goes in quotes")
        } else {
            error
        };
    };
    let mut words = rest.split('`');
    let key = words.next().unwrap_or_default();
    let known: Vec<&str> = words.skip(1).step_by(2).collect();
    let parent = parent.trim_end_matches(": ");
    let inside = if parent.is_empty() { String::new() } else { format!(" in `{parent}`") };
    let error = Error::usage(format!(
        "{place}: there is no key `{key}`{inside}; there are {}",
        quoted(known.iter().copied())
    ));
    match iotstack_schema::nearest(key, known) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// What was found and expected, in words of whoever writes YAML and not of whoever writes
/// Rust.
fn in_words_of_yaml(text: &str) -> String {
    let mut text = text.to_owned();
    for (rust, yaml) in [
        ("expected struct Config", "expected keys such as `app:` and `environments:`"),
        ("expected struct Environment", "expected keys such as `account:` and `region:`"),
        ("expected struct Toolkit", "expected the keys `qualifier:` and `stack_name:`"),
        ("expected a map", "expected keys with values"),
        ("expected path string", "expected a string"),
        ("invalid type: sequence", "invalid type: list"),
    ] {
        text = text.replace(rust, yaml);
    }
    text
}

/// Reads the name of a region. New regions come faster than releases, so only its form is
/// judged.
pub fn region_name(text: &str) -> Result<String, String> {
    let mut parts = text.split('-').rev();
    let number = parts.next().unwrap_or_default();
    let fits = !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && parts.clone().count() >= 2
        && parts.all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase()));
    if fits {
        return Ok(text.to_owned());
    }
    Err(format!("region `{text}` is not valid: expected a name such as `eu-central-1`"))
}

/// Judged while it is read, so that the error has the place of the value.
fn region<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    struct Region;

    impl de::Visitor<'_> for Region {
        type Value = Option<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("the name of a region")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Option<String>, E> {
            Ok(None)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<String>, E> {
            region_name(text).map(Some).map_err(E::custom)
        }
    }

    source.deserialize_any(Region)
}

/// An account id; YAML reads twelve digits without quotes as a number.
fn account<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    struct Account;

    impl de::Visitor<'_> for Account {
        type Value = Option<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an account id of 12 digits")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Option<String>, E> {
            Ok(None)
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Option<String>, E> {
            self.visit_str(&number.to_string())
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<String>, E> {
            if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Ok(Some(text.to_owned()));
            }
            Err(E::custom(format!(
                "account `{text}` is not valid: expected 12 digits, in quotes if the first is 0"
            )))
        }
    }

    source.deserialize_any(Account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Config> {
        Config::parse(text, Path::new(FILE))?.finish(PathBuf::new(), Some(FILE.into()))
    }

    fn refused(text: &str) -> String {
        let error = read(text).unwrap_err();
        let hints = error.hints().iter().map(|hint| format!(" ({hint})"));
        hints.fold(error.message().to_owned(), |text, hint| text + &hint)
    }

    #[test]
    fn an_empty_file_means_the_three_environments() {
        let config = read("# nothing\n").unwrap();
        assert_eq!(config.environments.keys().collect::<Vec<_>>(), ["dev", "staging", "prod"]);
        assert_eq!(config.environment(None).unwrap().0, "dev");
    }

    #[test]
    fn takes_an_account_with_and_without_quotes() {
        let config =
            read("environments: {a: {account: 123456789012}, b: {account: '012345678901'}}");
        let config = config.unwrap();
        let account = |name| config.environment(Some(name)).unwrap().1.account.unwrap();
        assert_eq!(account("a"), "123456789012");
        assert_eq!(account("b"), "012345678901");
    }

    #[test]
    fn an_account_and_a_region_may_be_left_empty() {
        let config = read("environments:\n  dev:\n    account:\n    region:\n").unwrap();
        assert_eq!(config.environment(None).unwrap().1, Environment::default());
    }

    #[test]
    fn names_the_place_of_an_unknown_key_and_the_nearest() {
        assert_eq!(
            refused("app: x\nenviroments:\n  dev: {}\n"),
            "iotstack.yaml:2:1: there is no key `enviroments`; there are `app`, `output`, \
             `context`, `parameters`, `environments` and `toolkit` (did you mean `environments`?)"
        );
        assert_eq!(
            refused("environments:\n  dev:\n    regoin: eu-west-1\n"),
            "iotstack.yaml:3:5: there is no key `regoin` in `environments.dev`; there are \
             `account`, `region`, `profile` and `parameters` (did you mean `region`?)"
        );
    }

    #[test]
    fn names_the_place_of_what_is_no_yaml() {
        let message = refused("context:\n  a: 1\n b: 2\n");
        assert!(message.starts_with("iotstack.yaml:3:2: "), "{message}");
    }

    #[test]
    fn refuses_an_account_of_eleven_digits() {
        assert_eq!(
            refused("environments:\n  dev:\n    account: 12345678901\n"),
            "iotstack.yaml:3:14: environments.dev.account: account `12345678901` is not valid: \
             expected 12 digits, in quotes if the first is 0"
        );
    }

    #[test]
    fn refuses_an_environment_that_is_written_twice() {
        let message = refused("environments:\n  dev: {}\n  dev: {}\n");
        assert!(message.starts_with("iotstack.yaml:"), "{message}");
        assert!(message.ends_with("duplicate entry with key \"dev\""), "{message}");
    }

    #[test]
    fn refuses_what_is_no_region() {
        assert_eq!(
            refused("environments:\n  dev:\n    region: mars\n"),
            "iotstack.yaml:3:13: environments.dev.region: region `mars` is not valid: expected \
             a name such as `eu-central-1`"
        );
        for region in ["us-east-1", "us-gov-west-1", "eusc-de-east-1", "ap-southeast-12"] {
            assert_eq!(region_name(region).as_deref(), Ok(region));
        }
        for region in ["", "-", "us-east", "us-east-", "--1", "1", "US-EAST-1", "us east-1"] {
            assert!(region_name(region).is_err(), "{region}");
        }
    }

    #[test]
    fn speaks_of_keys_and_not_of_structs() {
        assert_eq!(
            refused("environments:\n  dev: 5\n"),
            "iotstack.yaml:2:8: environments.dev: invalid type: integer `5`, expected keys such \
             as `account:` and `region:`"
        );
        assert_eq!(
            refused("[]"),
            "iotstack.yaml:1:1: invalid type: list, expected keys such as `app:` and \
             `environments:`"
        );
    }

    #[test]
    fn refuses_names_of_a_bootstrap_stack_that_aws_would_refuse() {
        assert_eq!(
            refused("toolkit: {qualifier: a b}"),
            "iotstack.yaml: toolkit.qualifier `a b` is not valid: expected 1 to 10 letters, \
             digits, `_` or `-`"
        );
        assert!(refused("toolkit: {stack_name: 1}").contains("a letter first"));
    }

    #[test]
    fn refuses_a_name_that_no_stack_could_carry() {
        assert_eq!(
            refused("environments: {my_env: {}}"),
            "iotstack.yaml: environment name `my_env` is not valid: it becomes part of stack \
             names, so it has at most 32 letters, digits and hyphens and starts with a letter"
        );
    }

    #[test]
    fn an_unknown_environment_is_answered_with_those_there_are() {
        let config = read("environments: {eu: {}, us: {}}").unwrap();
        let error = config.environment(Some("uss")).unwrap_err();
        assert_eq!(
            error.message(),
            "there is no environment `uss` in iotstack.yaml; there are `eu` and `us`"
        );
        assert_eq!(error.hints(), ["did you mean `--env us`?"]);
        let error = config.environment(None).unwrap_err();
        assert_eq!(error.message(), "no environment was chosen; there are `eu` and `us`");
    }

    #[test]
    fn an_environment_changes_single_parameters() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let mut under = object(json!({"a": {"x": 1, "y": 2}, "b": [1]}));
        merge(&mut under, &object(json!({"a": {"y": 3}, "b": [2]})));
        assert_eq!(Value::Object(under), json!({"a": {"x": 1, "y": 3}, "b": [2]}));
    }
}
