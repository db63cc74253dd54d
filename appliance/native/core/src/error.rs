//! Everything that can go wrong in the engine, as one closed enum.
//!
//! Bytes from the wire never make an error: they are decoded or counted. Errors are for files, rules, devices and settings.

use std::fmt;
use std::path::PathBuf;

/// What the engine refuses, with what came and what was allowed.
#[derive(Debug)]
pub enum Error {
    /// A file could not be opened, mapped or read.
    File {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A capture file is not one, or breaks off.
    CaptureFormat {
        /// The file.
        path: PathBuf,
        /// Byte offset where reading stopped.
        offset: u64,
        /// What came and what was allowed.
        reason: String,
    },
    /// A capture interface could not be opened.
    Interface {
        /// The interface.
        name: String,
        /// What failed and what to do.
        reason: String,
    },
    /// A rule variable or setting has a value that does not parse.
    Setting {
        /// The setting's name.
        name: String,
        /// What came and what was allowed.
        reason: String,
    },
    /// An engine thread failed: a defect of the engine, told instead of a silent stop.
    Thread(String),
    /// The pattern matcher refused its input or its library failed.
    Matcher(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::CaptureFormat { path, offset, reason } => {
                write!(f, "{}: at byte {offset}: {reason}", path.display())
            }
            Self::Interface { name, reason } => write!(f, "interface {name}: {reason}"),
            Self::Setting { name, reason } => write!(f, "{name}: {reason}"),
            Self::Thread(reason) => write!(f, "an engine thread failed: {reason}"),
            Self::Matcher(reason) => write!(f, "pattern matcher: {reason}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;
