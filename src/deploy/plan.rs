//! Which stacks of an assembly, in which order.
//!
//! A selection is a list of names or patterns on the display names, as `cdk` users know
//! them: `*` stands for anything but `/`, `**` for anything, `?` for one character. What
//! a stack needs comes along unless the selection is exclusive; for destroying, what
//! needs the stack comes along. The order is the assembly's, turned round for
//! destroying.

use std::collections::BTreeSet;

use iotstack_assembly::{CloudAssembly, StackArtifact};

use crate::{Error, Result};

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Names or patterns. With none, the only stack of the app is meant.
    pub patterns: Vec<String>,
    /// All stacks, those of stages too.
    pub all: bool,
    /// Leaves out what the stacks need or are needed by.
    pub exclusively: bool,
}

impl Selection {
    /// The stacks that fit these patterns, with what they need.
    pub fn of<S: Into<String>>(patterns: impl IntoIterator<Item = S>) -> Self {
        Selection {
            patterns: patterns.into_iter().map(Into::into).collect(),
            ..Selection::default()
        }
    }

    /// Every stack.
    pub fn all() -> Self {
        Selection { all: true, ..Selection::default() }
    }
}

/// The stacks to deploy, those that others need first.
pub fn select<'a>(
    assembly: &'a CloudAssembly,
    selection: &Selection,
) -> Result<Vec<&'a StackArtifact>> {
    let chosen = choose(assembly.stacks(), selection)?;
    let wanted = if selection.exclusively { chosen } else { with_needed(assembly, chosen) };
    Ok(in_order(assembly, &wanted))
}

/// The stacks to destroy, those that need others first.
pub fn select_for_destroy<'a>(
    assembly: &'a CloudAssembly,
    selection: &Selection,
) -> Result<Vec<&'a StackArtifact>> {
    let chosen = choose(assembly.stacks(), selection)?;
    let wanted = if selection.exclusively { chosen } else { with_dependents(assembly, chosen) };
    let mut stacks = in_order(assembly, &wanted);
    stacks.reverse();
    Ok(stacks)
}

/// The display names of all stacks, in deployment order.
pub fn names(assembly: &CloudAssembly) -> Vec<String> {
    assembly.stacks().iter().map(|stack| stack.display_name.clone()).collect()
}

/// Whether somebody who says `pattern` means this stack. The id and the name in the account
/// are also what a person may have at hand.
pub fn means(pattern: &str, stack: &StackArtifact) -> bool {
    matches(pattern, &stack.display_name) || stack.id == pattern || stack.stack_name == pattern
}

/// Whether `pattern` fits the whole of `name`.
pub fn matches(pattern: &str, name: &str) -> bool {
    // A hand-made matcher with backtracking: patterns are short, and a `**` that
    // swallows `/` is the only thing that makes them differ from a file glob.
    fn fits(pattern: &[char], name: &[char]) -> bool {
        match pattern {
            [] => name.is_empty(),
            ['*', '*', rest @ ..] => (0..=name.len()).any(|taken| fits(rest, &name[taken..])),
            ['*', rest @ ..] => {
                let reach = name.iter().position(|c| *c == '/').unwrap_or(name.len());
                (0..=reach).any(|taken| fits(rest, &name[taken..]))
            }
            ['?', rest @ ..] => name.first().is_some_and(|c| *c != '/') && fits(rest, &name[1..]),
            [first, rest @ ..] => name.first() == Some(first) && fits(rest, &name[1..]),
        }
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    fits(&pattern, &name)
}

/// The name in `names` that is most like `text`, if any is alike at all.
pub fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (distance(&text.to_lowercase(), &name.to_lowercase()), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= text.len().max(name.len()) / 3)
        .map(|(_, name)| name)
}

type Key<'a> = (&'a std::path::Path, &'a str);

fn key(stack: &StackArtifact) -> Key<'_> {
    (&stack.directory, &stack.id)
}

fn choose<'a>(stacks: &'a [StackArtifact], selection: &Selection) -> Result<BTreeSet<Key<'a>>> {
    if selection.all {
        return Ok(stacks.iter().map(key).collect());
    }
    if selection.patterns.is_empty() {
        return match stacks {
            [] => Err(Error::NoStacks),
            [only] => Ok(BTreeSet::from([key(only)])),
            several => Err(Error::SelectionNeeded { available: display_names(several) }),
        };
    }
    let mut chosen = BTreeSet::new();
    for pattern in &selection.patterns {
        let before = chosen.len();
        let found = stacks.iter().filter(|stack| means(pattern, stack));
        let found: Vec<_> = found.map(key).collect();
        chosen.extend(found.iter().copied());
        if found.is_empty() && chosen.len() == before {
            let available = display_names(stacks);
            let nearest = nearest(pattern, available.iter().map(String::as_str)).map(str::to_owned);
            return Err(Error::NoStackMatches { pattern: pattern.clone(), available, nearest });
        }
    }
    Ok(chosen)
}

fn with_needed<'a>(
    assembly: &'a CloudAssembly,
    mut chosen: BTreeSet<Key<'a>>,
) -> BTreeSet<Key<'a>> {
    for stack in assembly.stacks() {
        if chosen.contains(&key(stack)) {
            chosen.extend(assembly.dependencies_of(stack).into_iter().map(key));
        }
    }
    chosen
}

fn with_dependents<'a>(
    assembly: &'a CloudAssembly,
    mut chosen: BTreeSet<Key<'a>>,
) -> BTreeSet<Key<'a>> {
    // Deployment order: whoever needs a chosen stack comes after it, so one pass is enough.
    for stack in assembly.stacks() {
        let needs_chosen =
            stack.dependencies.iter().any(|id| chosen.contains(&(stack.directory.as_path(), id)));
        if needs_chosen {
            chosen.insert(key(stack));
        }
    }
    chosen
}

fn in_order<'a>(assembly: &'a CloudAssembly, wanted: &BTreeSet<Key<'_>>) -> Vec<&'a StackArtifact> {
    assembly.stacks().iter().filter(|stack| wanted.contains(&key(stack))).collect()
}

fn display_names(stacks: &[StackArtifact]) -> Vec<String> {
    stacks.iter().map(|stack| stack.display_name.clone()).collect()
}

/// How many characters must be added, removed or changed to get from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assembly() -> (tempfile::TempDir, CloudAssembly) {
        let stack = |display: &str, needs: &[&str]| {
            serde_json::json!({"type": "aws:cloudformation:stack", "displayName": display,
                "environment": "aws://unknown-account/unknown-region", "dependencies": needs,
                "properties": {"templateFile": "t.json"}})
        };
        let manifest = serde_json::json!({"version": "36.0.0", "artifacts": {
            "Web": stack("Web", &["Core"]), "Core": stack("Core", &[]),
            "ProdCore": stack("Prod/Core", &[]), "ProdWeb": stack("Prod/Web", &["ProdCore"]),
        }});
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("manifest.json"), manifest.to_string()).unwrap();
        let assembly = CloudAssembly::read(folder.path()).unwrap();
        (folder, assembly)
    }

    fn selected(selection: Selection) -> Vec<String> {
        let (_folder, assembly) = assembly();
        let stacks = select(&assembly, &selection).unwrap();
        stacks.iter().map(|stack| stack.display_name.clone()).collect()
    }

    fn refused(selection: Selection) -> Error {
        let (_folder, assembly) = assembly();
        select(&assembly, &selection).unwrap_err()
    }

    #[test]
    fn brings_what_a_stack_needs_first() {
        assert_eq!(selected(Selection::of(["Web"])), ["Core", "Web"]);
        let exclusively = Selection { exclusively: true, ..Selection::of(["Web"]) };
        assert_eq!(selected(exclusively), ["Web"]);
    }

    #[test]
    fn a_star_stays_on_its_level() {
        assert_eq!(selected(Selection::of(["*"])), ["Core", "Web"]);
        assert_eq!(selected(Selection::of(["Prod/**"])), ["Prod/Core", "Prod/Web"]);
        assert_eq!(selected(Selection::of(["**"])).len(), 4);
        assert_eq!(selected(Selection::all()).len(), 4);
        assert_eq!(selected(Selection::of(["Prod/?ore"])), ["Prod/Core"]);
    }

    #[test]
    fn destroys_what_needs_a_stack_before_the_stack() {
        let (_folder, assembly) = assembly();
        let order = |selection| {
            let stacks = select_for_destroy(&assembly, &selection).unwrap();
            stacks.iter().map(|stack| stack.display_name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(order(Selection::of(["Core"])), ["Web", "Core"]);
        assert_eq!(order(Selection::of(["Web"])), ["Web"]);
        let exclusively = Selection { exclusively: true, ..Selection::of(["Core"]) };
        assert_eq!(order(exclusively), ["Core"]);
    }

    #[test]
    fn names_the_stacks_when_none_fits() {
        let error = refused(Selection::of(["Wbe"]));
        assert_eq!(
            error.to_string(),
            "no stack matches `Wbe`; the app has `Core`, `Web`, `Prod/Core`, `Prod/Web`"
        );
        assert_eq!(error.hint().unwrap(), "`iotstack ls` lists the stacks");
        let error = refused(Selection::of(["Prod/Cor"]));
        assert_eq!(error.hint().unwrap(), "did you mean `Prod/Core`?");
    }

    #[test]
    fn asks_for_a_name_when_there_are_several() {
        assert_eq!(
            refused(Selection::default()).to_string(),
            "the app has several stacks and none was named: `Core`, `Web`, `Prod/Core`, `Prod/Web`"
        );
    }

    #[test]
    fn one_pattern_that_fits_nothing_is_an_error_though_another_fits() {
        assert!(matches!(refused(Selection::of(["Core", "Nope"])), Error::NoStackMatches { .. }));
    }
}
