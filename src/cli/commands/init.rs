//! `iotstack init`: a new project that builds and synthesizes.
//!
//! The files are templates in `templates/init`, embedded in the program. They are written
//! into an empty folder only, all of them or none.

use std::fs;
use std::path::{Path, PathBuf};

use tera::Tera;

use crate::cli::context::Context;
use crate::cli::error::{Error, Kind, Result};
use crate::cli::ui::{style, tell};

/// Makes a new project: an app in Rust with a small stack, its test and iotstack.yaml
///
/// The project builds, synthesizes and passes its test as it is. The folder must be empty
/// or not there yet; without one the current folder is taken, and the project is named
/// after it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The folder for the project [default: the current one]
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
    folder: PathBuf,

    /// The project's name [default: the folder's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// The checkout of iotstack that the project depends on
    #[arg(long, value_name = "DIR", default_value = env!("CARGO_MANIFEST_DIR"))]
    iotstack: PathBuf,
}

/// Runs the command.
pub fn run(arguments: Arguments, _context: &Context) -> Result<()> {
    let folder = std::path::absolute(&arguments.folder)
        .map_err(|error| cannot("find", &arguments.folder, &error))?;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    };
    check_name(&name)?;
    check_empty(&arguments.folder)?;
    let checkout = checkout(&arguments.iotstack)?;
    // Rendered before anything is written: a project is complete or not there.
    let files = render(&name, &checkout)?;
    for (path, text) in &files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(|error| cannot("make", parent, &error))?;
        fs::write(&path, text).map_err(|error| cannot("write", &path, &error))?;
    }
    tell(format!("{} in {}:", style::good(format!("made {name}")), arguments.folder.display()));
    for (path, _) in &files {
        tell(format!("  {path}"));
    }
    let enter = if arguments.folder == Path::new(".") {
        String::new()
    } else {
        format!("cd {} && ", arguments.folder.display())
    };
    tell(format!("next: {}", style::note(format!("{enter}iotstack synth --env dev"))));
    Ok(())
}

/// The files of the project, by path.
fn render(name: &str, checkout: &Path) -> Result<Vec<(&'static str, String)>> {
    let bug = |error: tera::Error| {
        Error::new(Kind::Bug, format!("a template of the project is wrong: {error}"))
    };
    let mut tera = Tera::new();
    // These are programs and data, not pages.
    tera.autoescape_on(Vec::<&str>::new());
    tera.add_raw_templates(TEMPLATES.iter().copied()).map_err(bug)?;
    let mut values = tera::Context::new();
    values.insert("name", name);
    values.insert("crate_name", &name.replace('-', "_"));
    values.insert("stack_name", &stack_name(name));
    values.insert("checkout", &checkout.to_string_lossy());
    let rendered = TEMPLATES.iter().map(|(path, _)| Ok((*path, tera.render(path, &values)?)));
    rendered.collect::<Result<_, tera::Error>>().map_err(bug)
}

/// The name becomes a crate and the beginning of a stack's name.
fn check_name(name: &str) -> Result<()> {
    let fits = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= 60
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !matches!(name, "iotstack" | "test" | "core" | "std" | "alloc")
        && !KEYWORDS.contains(&name);
    if fits {
        return Ok(());
    }
    Err(Error::usage(format!(
        "`{name}` cannot be the project's name: it becomes a crate and part of a stack's name, \
         so it has at most 60 lower-case letters, digits and hyphens, starts with a letter, and \
         is no name of Rust's own"
    ))
    .hint("choose one with `--name NAME`"))
}

fn check_empty(folder: &Path) -> Result<()> {
    let mut entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot("read", folder, &error)),
    };
    // A new repository is as good as empty.
    let other = entries.find_map(|entry| entry.ok().filter(|entry| entry.file_name() != ".git"));
    match other {
        None => Ok(()),
        Some(entry) => Err(Error::usage(format!(
            "the folder `{}` is not empty: it holds `{}`",
            folder.display(),
            entry.file_name().to_string_lossy()
        ))
        .hint("name a new folder: `iotstack init DIR`")),
    }
}

/// Where the library is, as long as it has to be built from a checkout.
fn checkout(folder: &Path) -> Result<PathBuf> {
    if !folder.join("Cargo.toml").exists() {
        return Err(Error::usage(format!(
            "the checkout of iotstack `{}` has no Cargo.toml",
            folder.display()
        ))
        .hint("name one with `--iotstack DIR`"));
    }
    folder.canonicalize().map_err(|error| cannot("find", folder, &error))
}

fn cannot(action: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::stack(format!("cannot {action} {}: {error}", path.display()))
}

/// `pump-fleet` as `PumpFleet`.
fn stack_name(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(capital).collect()
}

/// Words that cannot name a crate because no `use` could name it.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

const TEMPLATES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../../templates/init/Cargo.toml.tera")),
    ("iotstack.yaml", include_str!("../../../templates/init/iotstack.yaml.tera")),
    ("src/lib.rs", include_str!("../../../templates/init/src/lib.rs.tera")),
    ("src/main.rs", include_str!("../../../templates/init/src/main.rs.tera")),
    ("tests/stack.rs", include_str!("../../../templates/init/tests/stack.rs.tera")),
    ("README.md", include_str!("../../../templates/init/README.md.tera")),
    (".gitignore", include_str!("../../../templates/init/gitignore.tera")),
];

const EXAMPLES: &str = "\
Examples:
  iotstack init pump-fleet
  mkdir pumps && cd pumps && iotstack init --name pump-fleet";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_renders_without_leftovers() {
        for (path, text) in render("pump-fleet", Path::new("/src/iotstack")).unwrap() {
            assert!(!text.contains("{{"), "{path}");
            assert!(text.ends_with('\n'), "{path}");
        }
    }

    #[test]
    fn a_name_becomes_a_stack_name() {
        assert_eq!(stack_name("pump-fleet-2"), "PumpFleet2");
        assert!(check_name("Pump").is_err());
        assert!(check_name("test").is_err());
        assert!(check_name("fn").is_err());
        check_name("pump-fleet").unwrap();
    }
}
