//! The generator: from published resource schemas to facts and L1 resources.
//!
//! It installs two pinned packages that carry AWS's CloudFormation resource schemas,
//! takes the facts out of them (names, shapes, limits, what replaces what; never a
//! description) and writes two things: the database that `iotstack-schema` embeds,
//! for every type there is, and the L1 tables of `iotstack-aws`, for the types that
//! `types.txt` lists.
//!
//! The same packages always give the same bytes, so that whoever runs it again can
//! tell what is stale. It runs at development time only and is never published.

pub mod facts;
pub mod install;
pub mod l1;
pub mod names;
pub mod pattern;
pub mod shapes;
pub mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use iotstack_schema::codec::write_database;

/// The types that get an L1 table, one per line.
pub const TYPES: &str = include_str!("types.txt");

/// What the generator can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot access {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what the generator expects of it.
    #[error("{path} is not usable: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A program that installs or reads packages failed.
    #[error("`{command}` failed: {reason}")]
    Command {
        /// The command line.
        command: String,
        /// What it said.
        reason: String,
    },
    /// `types.txt` lists a type that the schemas do not have.
    #[error("no schema for the type `{name}` that types.txt lists")]
    UnknownType {
        /// The type's name.
        name: String,
    },
}

/// The result of a generator's step.
pub type Result<T> = std::result::Result<T, Error>;

/// A file that the generator writes.
pub struct Output {
    /// Where it belongs, relative to the workspace.
    pub path: PathBuf,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Makes all files. `workspace` is the folder that holds the workspace's
/// `Cargo.toml`; the packages are installed below its `target` folder.
pub fn generate(workspace: &Path) -> Result<Vec<Output>> {
    let packages = install::packages(&workspace.join("target/codegen"))?;
    let source = source::read(&packages)?;
    let facts = facts::collect(&source);
    let mut outputs = vec![
        Output { path: DATABASE.into(), bytes: write_database(&facts.database) },
        Output { path: PATTERNS.into(), bytes: facts.patterns.report().into_bytes() },
    ];
    let by_name: BTreeMap<&str, _> =
        facts.database.types.iter().map(|found| (found.name, found)).collect();
    let mut wanted = Vec::new();
    for name in TYPES.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match by_name.get(name) {
            Some(found) => wanted.push(*found),
            None => return Err(Error::UnknownType { name: name.to_owned() }),
        }
    }
    for (service, text) in l1::generate(&wanted) {
        let path = Path::new("src/aws").join(service).join("cfn.rs");
        outputs.push(Output { path, bytes: text.into_bytes() });
    }
    Ok(outputs)
}

/// Lists the outputs that differ from the files in the workspace.
pub fn stale<'a>(workspace: &Path, outputs: &'a [Output]) -> Vec<&'a Output> {
    outputs
        .iter()
        .filter(|output| {
            std::fs::read(workspace.join(&output.path)).ok().as_deref() != Some(&output.bytes)
        })
        .collect()
}

/// Writes the outputs into the workspace.
pub fn write(workspace: &Path, outputs: &[&Output]) -> Result<()> {
    for output in outputs {
        let path = workspace.join(&output.path);
        let result = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, &output.bytes));
        result.map_err(|source| Error::File { path, source })?;
    }
    Ok(())
}

const DATABASE: &str = "src/schema/data/types.bin";
const PATTERNS: &str = "src/schema/data/patterns.txt";

#[cfg(test)]
mod tests;
