//! Tables for people: columns under headings, no frames.
//!
//! A table is as wide as it wants to be and never wrapped, because names and URLs are copied
//! from it as a whole. What does not fit a terminal is better told in another form.
//! Scripts that want more ask for `--json`.

use comfy_table::{ContentArrangement, Table, presets};

use serde::Serialize;

use super::{json, out, style, tell};
use crate::cli::error::Result;

/// Prints a list: as JSON, or as a table for people, who are told in words that it is empty.
pub fn list<T: Serialize, const COLUMNS: usize>(
    items: Vec<T>,
    as_json: bool,
    empty: &str,
    headings: [&str; COLUMNS],
    row: impl Fn(T) -> [String; COLUMNS],
) -> Result<()> {
    if as_json {
        return json::print(&items);
    }
    if items.is_empty() {
        tell(empty);
        return Ok(());
    }
    out(&table(&headings, items.into_iter().map(row)))
}

/// Lays out rows under headings.
pub fn table<Row>(headings: &[&str], rows: impl IntoIterator<Item = Row>) -> String
where
    Row: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    let mut lines = text.lines().map(str::trim_end);
    let first = lines.next().map(style::strong).into_iter();
    first.chain(lines.map(str::to_owned)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_up_columns_without_frames() {
        let rows = [["a", "1"], ["long", "2"]].map(|row| row.map(str::to_owned));
        let text = anstream::adapter::strip_str(&table(&["Name", "Value"], rows)).to_string();
        assert_eq!(text, "NAME  VALUE\na     1\nlong  2");
    }
}
