//! How a function is called: by name, by part of its ARN or by the whole of it,
//! each with or without a version or an alias.
//!
//! The account and the region of an ARN are not compared: there is only one of each.

use iotstack_local_kernel::{Account, Fault};

use crate::error::invalid;

/// A function, and which version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionName {
    pub(crate) name: String,
    /// A version's number, an alias or `$LATEST`; nothing if none was said.
    pub(crate) qualifier: Option<String>,
}

impl FunctionName {
    /// Reads a name; `qualifier` is what the request says apart from it.
    pub(crate) fn parse(text: &str, qualifier: Option<&str>) -> Result<Self, Fault> {
        let parts: Vec<&str> = text.split(':').collect();
        let (name, own) = match parts.as_slice() {
            [name] => (*name, None),
            [name, own] => (*name, Some(*own)),
            [_account, "function", name] => (*name, None),
            [_account, "function", name, own] => (*name, Some(*own)),
            ["arn", _, "lambda", _, _, "function", name] => (*name, None),
            ["arn", _, "lambda", _, _, "function", name, own] => (*name, Some(*own)),
            _ => return Err(unreadable(text)),
        };
        if !is_name(name) || own.is_some_and(|own| !is_qualifier(own)) {
            return Err(unreadable(text));
        }
        let qualifier = match (own, qualifier) {
            (Some(own), Some(other)) if own != other => {
                return Err(invalid(format!(
                    "qualifier `{other}` differs from `{own}`, which the function's name says"
                )));
            }
            (own, other) => own.or(other),
        };
        if let Some(qualifier) = qualifier.filter(|qualifier| !is_qualifier(qualifier)) {
            return Err(Fault::invalid_input(format!(
                "qualifier `{qualifier}` must be `$LATEST`, a version's number or an alias"
            )));
        }
        Ok(FunctionName { name: name.to_owned(), qualifier: qualifier.map(str::to_owned) })
    }

    /// The function's ARN, with the qualifier if there is one.
    pub(crate) fn arn(&self, account: &Account) -> String {
        let arn = function_arn(account, &self.name);
        match &self.qualifier {
            None => arn,
            Some(qualifier) => format!("{arn}:{qualifier}"),
        }
    }
}

/// The ARN of a function without a qualifier.
pub(crate) fn function_arn(account: &Account, name: &str) -> String {
    account.arn("lambda", format_args!("function:{name}"))
}

/// Whether a text may name a function.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(is_word)
}

/// Whether a text may name an alias: no number, so that versions stay apart.
pub(crate) fn is_alias(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(is_word)
        && !text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_qualifier(text: &str) -> bool {
    text == "$LATEST" || ((1..=128).contains(&text.len()) && text.bytes().all(is_word))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn unreadable(text: &str) -> Fault {
    Fault::invalid_input(format!(
        "function name `{text}` must be 1 to 64 letters, digits, hyphens and underscores, \
         or the ARN of a function"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_arns() {
        let read = |text| FunctionName::parse(text, None).unwrap();
        let plain = FunctionName { name: "f-1".to_owned(), qualifier: None };
        let live = FunctionName { name: "f-1".to_owned(), qualifier: Some("live".to_owned()) };
        assert_eq!(read("f-1"), plain);
        assert_eq!(read("f-1:live"), live);
        assert_eq!(read("123456789012:function:f-1"), plain);
        assert_eq!(read("arn:aws:lambda:us-east-1:123456789012:function:f-1"), plain);
        assert_eq!(read("arn:aws:lambda:us-east-1:123456789012:function:f-1:live"), live);
        assert_eq!(FunctionName::parse("f-1", Some("live")).unwrap(), live);
    }

    #[test]
    fn refuses_what_is_no_name() {
        for text in ["", "a b", "../a", "arn:aws:s3:::bucket", "a:b:c", "a:$X", &"x".repeat(65)] {
            assert!(FunctionName::parse(text, None).is_err(), "{text}");
        }
        assert!(FunctionName::parse("f:1", Some("2")).is_err());
    }
}
