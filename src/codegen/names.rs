//! Names: from CloudFormation's to Rust's.
//!
//! `ThingName` becomes the method `thing_name`, `SNI_ONLY` the variant `SniOnly`,
//! `Endpoint.Address` the constant `ENDPOINT_ADDRESS`. Digits keep apart what a dot
//! or a dash kept apart (`Python3_9`), so that two values never become one name
//! without need.

/// The name of a method: lower case with underscores.
pub fn method(name: &str) -> String {
    let snake = words(name).join("_").to_lowercase();
    match snake.as_str() {
        // Not a name in Rust.
        keyword if is_keyword(keyword) => format!("{snake}_"),
        // Methods that every L1 has of its own.
        "new" | "set" | "properties" | "from_properties" | "into_properties" => {
            format!("{snake}_property")
        }
        _ => snake,
    }
}

/// The name of a constant: upper case with underscores.
pub fn constant(name: &str) -> String {
    let upper: Vec<String> = name.split('.').map(|part| words(part).join("_")).collect();
    let upper = upper.join("_").to_uppercase();
    match upper.as_str() {
        // Constants that every L1 has of its own.
        "TYPE" | "PROPERTIES" => format!("{upper}_ATTRIBUTE"),
        _ => upper,
    }
}

/// The name of a variant: words with a capital letter each.
pub fn variant(value: &str) -> String {
    let mut name = String::new();
    for part in value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
        let digits = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        if digits(name.chars().last()) && digits(part.chars().next()) {
            name.push('_');
        }
        for word in words(part) {
            let mut characters = word.chars();
            name.extend(characters.next().map(|c| c.to_ascii_uppercase()));
            name.extend(characters.map(|c| c.to_ascii_lowercase()));
        }
    }
    match name.chars().next() {
        None if value.is_empty() => "Empty".to_owned(),
        None => match value {
            "*" => "Any".to_owned(),
            "=" => "Equal".to_owned(),
            "<" => "Less".to_owned(),
            ">" => "Greater".to_owned(),
            "<=" => "LessOrEqual".to_owned(),
            ">=" => "GreaterOrEqual".to_owned(),
            "/" => "Slash".to_owned(),
            "-" => "Minus".to_owned(),
            _ => format!("Other{}", value.bytes().map(|b| format!("{b:02x}")).collect::<String>()),
        },
        Some(first) if first.is_ascii_digit() => format!("V{name}"),
        Some(_) if name == "Self" => "Itself".to_owned(),
        Some(_) => name,
    }
}

/// The name of a type, out of the name of a definition or property.
pub fn type_part(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    let mut part: String = last.chars().filter(char::is_ascii_alphanumeric).collect();
    if let Some(first) = part.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    part
}

/// Splits a name where a word begins: `CACertificatePem` is `CA`, `Certificate`,
/// `Pem`; `ARNs` stays one word, and digits belong to the word before them.
pub fn words(name: &str) -> Vec<String> {
    let characters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = vec![String::new()];
    for (place, character) in characters.iter().enumerate() {
        if !character.is_ascii_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let before = place.checked_sub(1).map(|place| characters[place]);
        let after = characters.get(place + 1);
        let plural = after == Some(&'s')
            && characters.get(place + 2).is_none_or(|next| !next.is_ascii_lowercase());
        let begins = character.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase()
                        && after.is_some_and(|after| after.is_ascii_lowercase())
                        && !plural)
            });
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(*character);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_keyword(name: &str) -> bool {
    const KEYWORDS: [&str; 17] = [
        "type", "match", "ref", "use", "enum", "static", "where", "loop", "as", "in", "for", "if",
        "else", "move", "mod", "impl", "fn",
    ];
    KEYWORDS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_words_where_people_would() {
        assert_eq!(words("CACertificatePem"), ["CA", "Certificate", "Pem"]);
        assert_eq!(words("TargetARNs"), ["Target", "ARNs"]);
        assert_eq!(words("S3Destination"), ["S3", "Destination"]);
        assert_eq!(words("enableDnsSupport"), ["enable", "Dns", "Support"]);
        assert_eq!(words("Ipv6CidrBlock"), ["Ipv6", "Cidr", "Block"]);
        assert_eq!(words("AWSServiceName"), ["AWS", "Service", "Name"]);
    }

    #[test]
    fn names_methods() {
        assert_eq!(method("ThingName"), "thing_name");
        assert_eq!(method("Type"), "type_");
        assert_eq!(method("KmsKeyARNs"), "kms_key_arns");
        assert_eq!(method("Set"), "set_property");
    }

    #[test]
    fn names_constants() {
        assert_eq!(constant("Arn"), "ARN");
        assert_eq!(constant("Endpoint.Address"), "ENDPOINT_ADDRESS");
        assert_eq!(constant("Type"), "TYPE_ATTRIBUTE");
    }

    #[test]
    fn names_variants() {
        assert_eq!(variant("SNI_ONLY"), "SniOnly");
        assert_eq!(variant("python3.9"), "Python3_9");
        assert_eq!(variant("python3.12"), "Python3_12");
        assert_eq!(variant("aws:kms"), "AwsKms");
        assert_eq!(variant("1.1"), "V1_1");
        assert_eq!(variant("*"), "Any");
        assert_eq!(variant("application/json"), "ApplicationJson");
    }
}
