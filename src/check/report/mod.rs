//! Findings in the forms that other programs read.
//!
//! Each form is one file. How findings look to a person on a terminal is the program's
//! business, not this crate's.

mod json;
mod junit;
mod sarif;

use std::str::FromStr;

use iotstack_assembly::Diagnostics;

pub use json::json;
pub use junit::junit;
pub use sarif::sarif;

use crate::Error;

/// A form for other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Our own list of findings.
    Json,
    /// SARIF 2.1.0, which code hosts show beside the source.
    Sarif,
    /// JUnit's XML, which CI systems show as tests.
    Junit,
}

impl Format {
    /// Writes findings in this form.
    pub fn write(self, findings: &Diagnostics) -> String {
        match self {
            Format::Json => json(findings),
            Format::Sarif => sarif(findings),
            Format::Junit => junit(findings),
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "json" => Ok(Format::Json),
            "sarif" => Ok(Format::Sarif),
            "junit" => Ok(Format::Junit),
            _ => Err(Error::UnknownFormat { name: name.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests;
