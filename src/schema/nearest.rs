//! Similar names: what somebody probably meant.
//!
//! Distance is counted in edits (a letter more, a letter less, another letter, two
//! letters exchanged), without regard to case. Only candidates that are close for
//! the length of the word are offered, because a wild guess is worse than none.

/// Finds the candidate that is most similar to `word`, if one is similar enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    ranked(word, candidates).into_iter().next()
}

/// Lists the candidates that are similar to `word`, the most similar first.
pub(crate) fn ranked<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Vec<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    let allowed = (word.len() / 3).clamp(1, 4);
    let mut found: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let other: Vec<char> = candidate.to_lowercase().chars().collect();
            if other.len().abs_diff(word.len()) > allowed {
                return None;
            }
            let distance = distance(&word, &other);
            (distance <= allowed).then_some((distance, candidate))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

fn distance(left: &[char], right: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, own) in left.iter().enumerate() {
        let mut line = Vec::with_capacity(right.len() + 1);
        line.push(row + 1);
        for (column, other) in right.iter().enumerate() {
            let mut best = (last[column] + usize::from(own != other))
                .min(last[column + 1] + 1)
                .min(line[column] + 1);
            let exchanged =
                row > 0 && column > 0 && left[row - 1] == *other && *own == right[column - 1];
            if exchanged {
                best = best.min(before_last[column - 1] + 1);
            }
            line.push(best);
        }
        before_last = std::mem::replace(&mut last, line);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_word_with_exchanged_letters() {
        assert_eq!(nearest("ThignName", ["ThingName", "Arn"]), Some("ThingName"));
    }

    #[test]
    fn does_not_care_about_case() {
        assert_eq!(nearest("aws::iot::thing", ["AWS::IoT::Thing"]), Some("AWS::IoT::Thing"));
    }

    #[test]
    fn offers_nothing_where_nothing_is_similar() {
        assert_eq!(nearest("Colour", ["ThingName", "Arn"]), None);
        assert_eq!(nearest("", ["ThingName"]), None);
    }

    #[test]
    fn counts_edits() {
        let count = |a: &str, b: &str| {
            distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
        };
        assert_eq!(count("versionned", "versioned"), 1);
        assert_eq!(count("abc", ""), 3);
        assert_eq!(count("ab", "ba"), 1);
        assert_eq!(count("kitten", "sitting"), 3);
    }
}
