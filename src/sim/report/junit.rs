//! The report as JUnit XML: one suite for the expectations, one for the faults.

use std::fmt::Write;

use super::Report;

/// Writes the report.
pub(super) fn write(report: &Report) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let name = escape(&report.scenario);
    let failures = report.verdicts.iter().filter(|verdict| !verdict.is_met).count();
    let faults = report.faults();
    let strays = faults.iter().filter(|row| row.as_expected < row.devices).count();
    let tests = report.verdicts.len() + faults.len();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<testsuites name=\"{name}\" tests=\"{tests}\" failures=\"{}\" time=\"{:.3}\">",
        failures + strays,
        report.seconds
    );
    let _ = writeln!(
        out,
        "  <testsuite name=\"{name}: expectations\" tests=\"{}\" failures=\"{failures}\" \
         time=\"{:.3}\">",
        report.verdicts.len(),
        report.seconds
    );
    for verdict in &report.verdicts {
        case(&mut out, &name, &verdict.expectation, verdict.is_met, &verdict.found);
    }
    out.push_str("  </testsuite>\n");
    if !faults.is_empty() {
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}: faults\" tests=\"{}\" failures=\"{strays}\">",
            faults.len()
        );
        for row in &faults {
            let title = format!("{} {}", row.id, row.words);
            let found = format!(
                "{} of {} devices ended as they must: {}",
                row.as_expected,
                row.devices,
                row.ends.join(", ")
            );
            case(&mut out, &name, &title, row.as_expected == row.devices, &found);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(out: &mut String, class: &str, title: &str, is_met: bool, found: &str) {
    let (title, found) = (escape(title), escape(found));
    let _ = write!(out, "    <testcase classname=\"{class}\" name=\"{title}\"");
    let _ = match is_met {
        true => writeln!(out, "><system-out>{found}</system-out></testcase>"),
        false => writeln!(out, "><failure message=\"{found}\">{found}</failure></testcase>"),
    };
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 has no way to write most control characters.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
