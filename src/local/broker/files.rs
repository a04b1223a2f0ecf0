//! The limit of open files, of which every connection is one.
//!
//! Systems begin with a low limit that a process may raise up to a higher one. The
//! program does so once, at its start; nothing in this crate does it by itself.

/// Raises the limit of open files of this process as far as the system lets it, and
/// gives the limit that holds. Connections above it are refused by the system.
pub fn raise_file_limit() -> std::io::Result<u64> {
    rlimit::increase_nofile_limit(u64::MAX)
}
