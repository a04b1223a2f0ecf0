//! How things look on a terminal and in a pipe.
//!
//! What a command was asked for goes to standard output; everything else (progress,
//! findings, questions) goes to standard error, so that `iotstack synth > t.yaml` is
//! clean. Colour is used on terminals only, never with `NO_COLOR` or `--no-color`.

pub mod approval;
pub mod diff;
pub mod findings;
pub mod json;
pub mod playing;
pub mod progress;
pub mod rollout;
pub mod style;
pub mod table;

use std::io::{self, IsTerminal, Write};

use crate::cli::error::Error;

/// Writes a result to standard output.
///
/// A reader that has seen enough, such as `head`, ends the program without a word.
pub fn out(text: &str) -> Result<(), Error> {
    let mut stdout = anstream::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| {
        if text.ends_with('\n') || text.is_empty() { Ok(()) } else { stdout.write_all(b"\n") }
    });
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Error::stack(format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Tells the user something on standard error.
pub fn tell(text: impl AsRef<str>) {
    let mut stderr = anstream::stderr().lock();
    // There is nobody left to tell that standard error is closed.
    let _ = writeln!(stderr, "{}", text.as_ref());
}

/// Shows an error and its hints.
pub fn show_error(error: &Error) {
    if !error.message().is_empty() {
        tell(format!("{}: {}", style::bad("error"), error.message()));
    }
    for hint in error.hints() {
        tell(format!("{}: {hint}", style::note("hint")));
    }
}

/// Whether somebody sits at the terminal who can answer a question.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The columns of the terminal that standard output is, if it is one.
pub fn width_of_output() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into())
}

/// The columns of the terminal that standard error is, if it is one.
pub fn width_of_messages() -> Option<usize> {
    terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| width.0.into())
}

/// Asks a question that is answered by yes or no; no answer is a no.
pub fn ask(question: &str) -> Result<bool, Error> {
    {
        // Not held while waiting: whoever presses Ctrl-C instead is told so on this stream.
        let mut stderr = anstream::stderr().lock();
        let _ = write!(stderr, "{question} (y/n) ");
        let _ = stderr.flush();
    }
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Error::stack(format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// `1 stack`, `2 stacks`.
pub fn count(number: usize, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn counts_in_words() {
        assert_eq!(count(1, "stack"), "1 stack");
        assert_eq!(count(0, "stack"), "0 stacks");
        assert_eq!(count(2, "policy"), "2 policies");
    }
}
