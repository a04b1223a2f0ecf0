//! Syntax, sizes and matching of topics, and the index against the plain rule.
//!
//! The plain rule is the function [`matches`], asked for every filter.

use proptest::prelude::*;

use super::*;

#[test]
fn matches_as_the_standard_has_it_but_for_the_parent() {
    let cases: &[(&str, &str, bool)] = &[
        ("a", "a", true),
        ("a", "b", false),
        ("a/b", "a/b", true),
        ("a/b", "a", false),
        ("a", "a/b", false),
        ("+", "a", true),
        ("+", "a/b", false),
        ("+/+", "a/b", true),
        ("+/+", "/a", true),
        ("/+", "/a", true),
        ("+", "/a", false),
        ("#", "a", true),
        ("#", "a/b/c", true),
        ("a/#", "a/b", true),
        ("a/#", "a/b/c", true),
        ("a/#", "a/", true),
        ("a/#", "ab", false),
        ("a/+/c", "a/b/c", true),
        ("a/+/c", "a//c", true),
        ("a/+", "a/", true),
        ("a/+", "a", false),
        ("#", "$aws/things", false),
        ("+/things", "$aws/things", false),
        ("$aws/#", "$aws/things", true),
        ("$aws/+", "$aws/things", true),
        ("a", "A", false),
    ];
    for (filter, topic, expected) in cases {
        for matching in [Matching::Aws, Matching::Standard] {
            assert_eq!(matches(filter, topic, matching), *expected, "{filter} {topic}");
        }
    }
    assert!(!matches("sensor/#", "sensor", Matching::Aws));
    assert!(matches("sensor/#", "sensor", Matching::Standard));
}

#[test]
fn judges_the_syntax_of_names_and_filters() {
    assert_eq!(name_syntax(""), Err(Problem::Empty));
    assert_eq!(name_syntax("a/+"), Err(Problem::WildcardInName));
    assert_eq!(name_syntax("a#"), Err(Problem::WildcardInName));
    assert_eq!(name_syntax("a\0"), Err(Problem::Nul));
    assert_eq!(name_syntax("$aws/x//"), Ok(()));
    for good in ["a", "#", "+", "a/#", "+/+/#", "/", "$share/g/a/#", "$aws/+/b"] {
        assert_eq!(filter_syntax(good), Ok(()), "{good}");
    }
    for (bad, problem) in [
        ("", Problem::Empty),
        ("a/#/b", Problem::HashNotLast),
        ("a#", Problem::HashNotLast),
        ("##", Problem::HashNotLast),
        ("a+/b", Problem::PlusNotAlone),
        ("++", Problem::PlusNotAlone),
        ("a\0b", Problem::Nul),
        ("$share", Problem::ShareName),
        ("$share/g", Problem::ShareName),
        ("$share//a", Problem::ShareName),
        ("$share/+/a", Problem::ShareName),
        ("$share/g/", Problem::Empty),
        ("$share/g/a/#/b", Problem::HashNotLast),
        ("$share/\0/a", Problem::Nul),
    ] {
        assert_eq!(filter_syntax(bad), Err(problem), "{bad}");
    }
    assert!(matches!(filter_syntax(&"+/".repeat(300)), Err(Problem::TooDeep { .. })));
}

#[test]
fn counts_neither_the_share_nor_the_rule_into_the_limits() {
    let deepest = "1/2/3/4/5/6/7/8";
    let too_deep = "1/2/3/4/5/6/7/8/9";
    assert_eq!(name_size(deepest, Limits::AWS), Ok(()));
    assert_eq!(name_size(too_deep, Limits::AWS), Err(Problem::TooDeep { maximum: 7 }));
    assert_eq!(name_size(too_deep, Limits::STANDARD), Ok(()));
    assert_eq!(name_size(&format!("$aws/rules/r/{deepest}"), Limits::AWS), Ok(()));
    assert_eq!(filter_size(&format!("$share/g/{deepest}"), Limits::AWS), Ok(()));
    assert!(filter_size(&format!("$share/g/{too_deep}"), Limits::AWS).is_err());
    assert_eq!(name_size(&"a".repeat(256), Limits::AWS), Ok(()));
    assert_eq!(name_size(&"a".repeat(257), Limits::AWS), Err(Problem::TooLong { maximum: 256 }));
}

#[test]
fn takes_basic_ingest_apart() {
    assert_eq!(basic_ingest("$aws/rules/r/a/b"), Some(("r", "a/b")));
    assert_eq!(basic_ingest("$aws/rules/r"), Some(("r", "")));
    assert_eq!(basic_ingest("$aws/rules/"), None);
    assert_eq!(basic_ingest("a/rules/r"), None);
}

#[test]
fn replaces_and_removes_entries_of_the_index() {
    let mut index = Index::new();
    assert!(index.is_empty());
    for filter in ["a/b", "a/+", "a/#", "#"] {
        assert_eq!(index.insert(filter, 1, "old"), None);
        assert_eq!(index.insert(filter, 1, "new"), Some("old"));
        assert_eq!(index.get(filter, &1), Some(&"new"));
        assert_eq!(index.get(filter, &2), None);
    }
    let mut found = 0;
    index.visit("a/b", Matching::Aws, &mut |_, _| found += 1);
    assert_eq!(found, 4);
    for filter in ["a/b", "a/+", "a/#", "#"] {
        assert_eq!(index.remove(filter, &2), None);
        assert_eq!(index.remove(filter, &1), Some("new"));
        assert_eq!(index.remove(filter, &1), None);
    }
    assert!(index.is_empty());
    assert!(!index.matches_any("a/b", Matching::Standard));
}

fn levels(wild: bool) -> impl Strategy<Value = String> {
    let level = prop_oneof![Just("a"), Just("b"), Just(""), Just("$x"), Just("+"), Just("#")];
    proptest::collection::vec(level, 1..5).prop_map(move |levels| {
        let last = levels.len() - 1;
        let level = |(at, level): (usize, &str)| match level {
            "+" | "#" if !wild => "a".to_owned(),
            "#" if at < last => "+".to_owned(),
            level => level.to_owned(),
        };
        levels.iter().copied().enumerate().map(level).collect::<Vec<_>>().join("/")
    })
}

proptest! {
    #[test]
    fn the_index_finds_what_the_plain_rule_finds(
        filters in proptest::collection::vec((levels(true), 0..40u8), 0..60),
        topics in proptest::collection::vec(levels(false), 1..10),
        standard in any::<bool>(),
    ) {
        let matching = if standard { Matching::Standard } else { Matching::Aws };
        let mut index = Index::new();
        let mut plain = std::collections::BTreeSet::new();
        for (filter, key) in &filters {
            index.insert(filter, *key, ());
            plain.insert((filter.clone(), *key));
        }
        let check = |index: &Index<u8, ()>, plain: &std::collections::BTreeSet<(String, u8)>| {
            for topic in &topics {
                let mut found = Vec::new();
                index.visit(topic, matching, &mut |key, ()| found.push(*key));
                found.sort_unstable();
                let mut expected: Vec<u8> = plain
                    .iter()
                    .filter(|(filter, _)| matches(filter, topic, matching))
                    .map(|(_, key)| *key)
                    .collect();
                expected.sort_unstable();
                assert_eq!(found, expected, "{topic}");
            }
        };
        check(&index, &plain);
        for (filter, key) in filters.iter().step_by(2) {
            index.remove(filter, key);
            plain.remove(&(filter.clone(), *key));
        }
        check(&index, &plain);
        for (filter, key) in &filters {
            index.remove(filter, key);
        }
        assert!(index.is_empty());
    }
}
