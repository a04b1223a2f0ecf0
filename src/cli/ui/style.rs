//! The few colours of the program, by what they mean.
//!
//! Text is always styled; whether the styles reach the eye is decided once, where it is
//! written (`ui::out`, `ui::tell`): not in a pipe, not with `NO_COLOR` or `--no-color`.
//! Nothing is said by colour alone.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

/// Added, or in order.
pub fn good(text: impl Display) -> String {
    paint(AnsiColor::Green.on_default(), text)
}

/// Removed, refused, or failed.
pub fn bad(text: impl Display) -> String {
    paint(AnsiColor::Red.on_default().bold(), text)
}

/// Changed, or worth a second look.
pub fn care(text: impl Display) -> String {
    paint(AnsiColor::Yellow.on_default(), text)
}

/// Help, and names that can be typed.
pub fn note(text: impl Display) -> String {
    paint(AnsiColor::Cyan.on_default(), text)
}

/// Headings.
pub fn strong(text: impl Display) -> String {
    paint(Style::new().bold(), text)
}

/// What matters less.
pub fn faint(text: impl Display) -> String {
    paint(Style::new().dimmed(), text)
}

/// The styles of clap's help, in the same colours.
pub fn help() -> clap::builder::Styles {
    clap::builder::Styles::styled()
        .header(Style::new().bold())
        .usage(Style::new().bold())
        .literal(AnsiColor::Cyan.on_default())
        .placeholder(Style::new().dimmed())
        .error(AnsiColor::Red.on_default().bold())
        .valid(AnsiColor::Green.on_default())
        .invalid(AnsiColor::Yellow.on_default())
}

fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}
