//! Which of two firmware versions is the later one.
//!
//! Versions are free text in a job document, but a device that must refuse a
//! downgrade needs an order. The release part is compared number by number, a
//! part after `-` or `~` marks something before the release, and what follows `+`
//! names a build and does not count, as in Semantic Versioning.

use std::cmp::Ordering;

/// Compares two versions; builds of the same version are equal.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Parts::of(left), Parts::of(right));
    parts(left.release, right.release, true).then_with(|| match (left.before, right.before) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(left), Some(right)) => parts(left, right, false),
    })
}

struct Parts<'a> {
    release: &'a str,
    before: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Self {
        let version = version.strip_prefix('v').unwrap_or(version);
        let counted = version.split_once('+').map_or(version, |(counted, _)| counted);
        match counted.split_once(['-', '~']) {
            Some((release, before)) => Parts { release, before: Some(before) },
            None => Parts { release: counted, before: None },
        }
    }
}

/// Compares the parts of two versions. A missing part is 0 in a release, and
/// less than any part otherwise.
fn parts(left: &str, right: &str, missing_is_zero: bool) -> Ordering {
    let marks = ['.', '_', ':', '-', '~'];
    let (mut left, mut right) = (left.split(marks), right.split(marks));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (Some(left), Some(right)) => part(left, right),
            (Some(left), None) if missing_is_zero => part(left, "0"),
            (None, Some(right)) if missing_is_zero => part("0", right),
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn part(left: &str, right: &str) -> Ordering {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match (is_number(left), is_number(right)) {
        (true, true) => {
            // Compared as text, so that no number of digits is too many.
            let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
            left.len().cmp(&right.len()).then_with(|| left.cmp(right))
        }
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => left.cmp(right),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn orders_versions_as_people_do() {
        let rising = ["0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0"];
        let later = ["1.0.1", "1.9.0", "1.10.0", "2", "10.0", "99999999999999999999999.0"];
        let all: Vec<_> = rising.iter().chain(&later).collect();
        for (index, left) in all.iter().enumerate() {
            for right in &all[index + 1..] {
                assert_eq!(compare(left, right), Ordering::Less, "{left} {right}");
                assert_eq!(compare(right, left), Ordering::Greater, "{right} {left}");
            }
        }
    }

    #[test]
    fn builds_and_trailing_zeros_do_not_count() {
        for (left, right) in [("1.0", "1.0.0"), ("1.0+a", "1.0+b"), ("v1.2", "1.2"), ("01", "1")] {
            assert_eq!(compare(left, right), Ordering::Equal, "{left} {right}");
        }
    }

    proptest! {
        #[test]
        fn is_an_order(
            a in "[0-9a-c.~+-]{1,12}", b in "[0-9a-c.~+-]{1,12}", c in "[0-9a-c.~+-]{1,12}"
        ) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
            if compare(&a, &b) != Ordering::Greater && compare(&b, &c) != Ordering::Greater {
                prop_assert_ne!(compare(&a, &c), Ordering::Greater);
            }
        }
    }
}
