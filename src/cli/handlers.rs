//! The handlers program: the Lambda functions that the ready stacks deploy.
//!
//! It is built for Lambda's Linux and lies beside `iotstack`. Before it goes into an
//! assembly its ELF headers are read, because a program of the wrong kind fails only
//! after the deployment, at the first event, with a message that nobody sees: it must be
//! for Linux, for an architecture that Lambda has, and must not need a C library newer
//! than the one in `provided.al2023`.
//!
//! Only the headers are read, not the whole file.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use iotstack::aws::lambda;
use object::elf;
use object::endian::Endianness;
use object::read::elf::FileHeader;
use object::read::{ReadCache, ReadRef};

use super::error::{Error, Result};

/// The program's name.
pub const PROGRAM: &str = "iotstack-handlers";

/// The C library of `provided.al2023`.
const LAMBDA_GLIBC: Version = Version(2, 34);

/// A handlers program that Lambda can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handlers {
    /// The file.
    pub path: PathBuf,
    /// What it was built for.
    pub architecture: Architecture,
    /// The C library it needs; none if it brings its own.
    pub glibc: Option<Version>,
}

/// The architectures that Lambda has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit ARM (Graviton).
    Arm64,
    /// 64-bit Intel and AMD.
    X86_64,
}

impl From<Architecture> for lambda::Architecture {
    fn from(architecture: Architecture) -> Self {
        match architecture {
            Architecture::Arm64 => lambda::Architecture::Arm64,
            Architecture::X86_64 => lambda::Architecture::X86_64,
        }
    }
}

/// A version of the C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

/// Looks for the program and reads what it is.
///
/// The file that was named counts, else the one beside this program.
pub fn find(named: Option<&Path>) -> Result<Handlers> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => beside_this_program()?,
    };
    if !path.is_file() {
        let error = Error::stack(format!(
            "the handlers program is missing: {} does not exist",
            path.display()
        ));
        return Err(error.hint(format!(
            "`cargo build --release` puts it beside iotstack; or name one with `--handlers FILE` \
             (it is the program `{PROGRAM}`, built for Linux)"
        )));
    }
    inspect(&path)
}

/// Where the program is expected if nobody names one.
fn beside_this_program() -> Result<PathBuf> {
    let own = std::env::current_exe()
        .and_then(|path| path.canonicalize())
        .map_err(|error| Error::stack(format!("cannot find where iotstack itself is: {error}")))?;
    Ok(own.with_file_name(PROGRAM))
}

/// Reads what a file is, and refuses what Lambda could not run.
pub fn inspect(path: &Path) -> Result<Handlers> {
    let cannot_read =
        |error: std::io::Error| Error::stack(format!("cannot read {}: {error}", path.display()));
    let mut file = File::open(path).map_err(cannot_read)?;
    let mut begin = Vec::new();
    file.by_ref().take(64).read_to_end(&mut begin).map_err(cannot_read)?;
    if !begin.starts_with(&elf::ELFMAG) {
        let what = foreign_kind(&begin);
        return Err(refused(path, &format!("it is {what}, and Lambda runs Linux programs (ELF)")));
    }
    let cache = ReadCache::new(file);
    let facts = read_facts(&cache)
        .map_err(|error| refused(path, &format!("its ELF headers are damaged ({error})")))?;
    let facts = match facts {
        Facts::Program { machine, glibc, interpreter } => (machine, glibc, interpreter),
        Facts::NotAProgram(why) => return Err(refused(path, why)),
    };
    let (machine, glibc, interpreter) = facts;
    let architecture = match machine {
        elf::EM_X86_64 => Architecture::X86_64,
        elf::EM_AARCH64 => Architecture::Arm64,
        other => {
            let why = format!(
                "it is for machine {}, and Lambda has x86_64 (62) and arm64 (183)",
                u32::from(other.0)
            );
            return Err(refused(path, &why));
        }
    };
    if interpreter.is_some_and(|name| name.contains("musl")) {
        let why = "it loads the musl C library at start, which Lambda does not have";
        return Err(refused(path, why).hint("link musl statically, as Rust does by default"));
    }
    if let Some(needed) = glibc.filter(|needed| *needed > LAMBDA_GLIBC) {
        let why =
            format!("it needs glibc {needed}, and Lambda's provided.al2023 has {LAMBDA_GLIBC}");
        return Err(refused(path, &why).hint(format!(
            "build it on a system with glibc {LAMBDA_GLIBC} or older, or without glibc: \
             `cargo build --release --bin {PROGRAM} --target x86_64-unknown-linux-musl`"
        )));
    }
    Ok(Handlers { path: path.to_owned(), architecture, glibc })
}

enum Facts {
    Program { machine: elf::Machine, glibc: Option<Version>, interpreter: Option<String> },
    NotAProgram(&'static str),
}

fn read_facts<'data, R: ReadRef<'data>>(data: R) -> object::read::Result<Facts> {
    let header = match elf::FileHeader64::<Endianness>::parse(data) {
        Ok(header) => header,
        Err(error) => {
            return match elf::FileHeader32::<Endianness>::parse(data) {
                Ok(_) => Ok(Facts::NotAProgram("it is a 32-bit program, and Lambda runs 64-bit")),
                Err(_) => Err(error),
            };
        }
    };
    let endian = header.endian()?;
    // Position-independent programs are of the same type as shared libraries.
    if !matches!(header.e_type(endian), elf::ET_EXEC | elf::ET_DYN) {
        return Ok(Facts::NotAProgram("it is an object file, not a program"));
    }
    let mut interpreter = None;
    for segment in header.program_headers(endian, data)? {
        use object::read::elf::ProgramHeader;
        if let Some(name) = segment.interpreter(endian, data)? {
            interpreter = Some(String::from_utf8_lossy(name).into_owned());
        }
    }
    let glibc = needed_glibc(header, endian, data)?;
    Ok(Facts::Program { machine: header.e_machine(endian), glibc, interpreter })
}

/// The newest `GLIBC_x.y` among the symbol versions that the program asks for.
fn needed_glibc<'data, R: ReadRef<'data>>(
    header: &elf::FileHeader64<Endianness>,
    endian: Endianness,
    data: R,
) -> object::read::Result<Option<Version>> {
    let sections = header.sections(endian, data)?;
    let Some((mut libraries, link)) = sections.gnu_verneed(endian, data)? else {
        return Ok(None);
    };
    let strings = sections.strings(endian, data, link)?;
    let mut newest = None;
    while let Some((_, mut versions)) = libraries.next()? {
        while let Some(version) = versions.next()? {
            let name = version.name(endian, strings)?;
            newest = newest.max(Version::from_symbol(&String::from_utf8_lossy(name)));
        }
    }
    Ok(newest)
}

impl Version {
    /// The version in `GLIBC_2.34`; other names have none.
    fn from_symbol(name: &str) -> Option<Self> {
        let mut numbers = name.strip_prefix("GLIBC_")?.split('.').map(str::parse);
        Some(Version(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

impl Architecture {
    /// The name that Lambda gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Architecture::Arm64 => "arm64",
            Architecture::X86_64 => "x86_64",
        }
    }
}

fn refused(path: &Path, why: &str) -> Error {
    Error::stack(format!("{} cannot run on Lambda: {why}", path.display()))
}

/// What a file is that is no ELF file, as far as its first bytes tell.
fn foreign_kind(begin: &[u8]) -> &'static str {
    match begin {
        [] => "an empty file",
        [0xcf, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => "a macOS program (Mach-O)",
        [b'M', b'Z', ..] => "a Windows program (PE)",
        [b'#', b'!', ..] => "a script",
        _ => "no program",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PROGRAM);
        std::fs::write(&path, content).unwrap();
        let error = inspect(&path).unwrap_err();
        error.message().replace(&folder.path().display().to_string(), "DIR")
    }

    #[test]
    fn reads_its_own_architecture() {
        let own = std::env::current_exe().unwrap();
        // Tests may be built against a newer C library than Lambda's.
        match inspect(&own) {
            Ok(found) => assert_eq!(found.architecture.name().replace("arm64", "aarch64"), {
                std::env::consts::ARCH
            }),
            Err(error) => assert!(error.message().contains("it needs glibc"), "{error:?}"),
        }
    }

    #[test]
    fn refuses_programs_of_other_systems_by_name() {
        assert_eq!(
            message(b"\xcf\xfa\xed\xfe____"),
            "DIR/iotstack-handlers cannot run on Lambda: it is a macOS program (Mach-O), and \
             Lambda runs Linux programs (ELF)"
        );
        assert!(message(b"").contains("it is an empty file"));
        assert!(message(b"#!/bin/sh").contains("it is a script"));
    }

    #[test]
    fn refuses_a_machine_that_lambda_does_not_have() {
        let mut header = vec![0; 64];
        header[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\x00");
        header[16] = 2; // a program
        header[18] = 243; // RISC-V
        header[20] = 1;
        header[52] = 64;
        assert_eq!(
            message(&header),
            "DIR/iotstack-handlers cannot run on Lambda: it is for machine 243, and Lambda has \
             x86_64 (62) and arm64 (183)"
        );
    }

    #[test]
    fn refuses_damaged_headers() {
        assert!(message(b"\x7fELF\x02\x01\x01").contains("its ELF headers are damaged"));
    }

    #[test]
    fn orders_versions_by_number() {
        assert!(Version::from_symbol("GLIBC_2.4") < Version::from_symbol("GLIBC_2.34"));
        assert_eq!(Version::from_symbol("GLIBC_2.2.5"), Some(Version(2, 2)));
        assert_eq!(Version::from_symbol("GCC_3.0"), None);
    }

    #[test]
    fn says_where_a_missing_program_was_looked_for() {
        let error = find(Some(Path::new("/nowhere/handlers"))).unwrap_err();
        assert_eq!(
            error.message(),
            "the handlers program is missing: /nowhere/handlers does not exist"
        );
    }
}
