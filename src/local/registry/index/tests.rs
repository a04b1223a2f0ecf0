//! The query language: what it means, and what it refuses.
//!
//! What it finds is tried in `tests/indexing.rs`.

use super::*;

#[test]
fn reads_what_the_service_reads() {
    for query in [
        "*",
        "thingName:a",
        "thingName:\"a b\"",
        "attributes.x:[1 TO 5}",
        "attributes.x : 5",
        "a OR b AND NOT c",
        "(a OR (b AND (c)))",
        "thingName:(a OR b) shadow.hasDelta:true",
        "thingName:a\\:b",
        "----a",
        "attributes.path:\"a/b@c\"",
    ] {
        assert!(parse(query).is_ok() != query.contains(" : "), "{query}: {:?}", parse(query));
    }
}

#[test]
fn and_binds_closer_than_or() {
    assert_eq!(parse("a OR b AND c").unwrap(), parse("a OR (b AND c)").unwrap());
    assert_eq!(parse("a b OR c").unwrap(), parse("(a AND b) OR c").unwrap());
}

#[test]
fn refuses_what_the_service_refuses() {
    let long = format!("thingName:{}", "a".repeat(1000));
    let many = vec!["a"; 13].join(" ");
    let deep = format!("{}a{}", "(".repeat(400), ")".repeat(400));
    let leading = format!("*a thingName:{}", "b".repeat(100));
    for query in [
        "",
        "  ",
        "(",
        "a)",
        "thingName:",
        "thingName:\"a",
        "attributes.x:[1 5]",
        "attributes.x:[1 TO 5",
        "a@b",
        "a,b",
        "a;b",
        "strange:1",
        "thingName:a*b*c*",
        "*a *b",
        "a OR",
        "NOT",
        "AND a",
        "OR a",
        "a AND OR b",
        "NOT AND a",
        "&& a",
        "|| a",
        "a AND || b",
        "a || && b",
        "\\",
        &long,
        &many,
        &deep,
        &leading,
    ] {
        let refused = parse(query).err();
        assert_eq!(
            refused.as_ref().map(|fault| fault.code.as_str()),
            Some("InvalidQueryException"),
            "{query}"
        );
    }
}

#[test]
fn nothing_makes_the_parser_panic() {
    // Pieces of the language in every order, and characters of several bytes.
    let pieces = [
        "a", ":", "(", ")", "[", "]", "{", "}", "\"", "\\", " ", "TO", "OR", "-", "ä", "*", "?",
        ">", "<=", "é🦀",
    ];
    let mut state: u64 = 42;
    for _ in 0..20_000 {
        let mut query = String::new();
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            query.push_str(pieces[(state >> 33) as usize % pieces.len()]);
        }
        let _ = parse(&query);
    }
}
