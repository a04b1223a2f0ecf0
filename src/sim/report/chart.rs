//! Curves as SVG: lines over time, with axes that people can read.
//!
//! Colours are names of CSS variables, so that a page can be light or dark. Every
//! line has its name beside its end; nobody has to tell colours apart.

use std::fmt::Write;

/// A line of a chart.
pub(super) struct Line<'a> {
    pub name: &'a str,
    /// The CSS variable of its colour.
    pub colour: &'a str,
    /// Time and value.
    pub points: Vec<(f64, f64)>,
}

/// Draws lines into one picture.
pub(super) fn draw(title: &str, lines: &[Line<'_>]) -> String {
    let all = || lines.iter().flat_map(|line| line.points.iter());
    let last = all().map(|(at, _)| *at).fold(0.0, f64::max).max(0.001);
    let most = all().map(|(_, value)| *value).fold(0.0, f64::max).max(1.0);
    let (across, up) = (ticks(last), ticks(most));
    let top = up.last().copied().unwrap_or(most).max(most);
    let x = |at: f64| LEFT + (WIDTH - LEFT - RIGHT) * at / last;
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top;
    let mut out =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">");
    // Writing to a string cannot fail.
    for value in &up {
        let at = y(*value);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0
        );
    }
    for value in across.iter().filter(|value| **value <= last) {
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value} s</text>",
            x(*value),
            HEIGHT - 6.0
        );
    }
    let mut labels: Vec<(f64, &Line<'_>)> = Vec::new();
    for line in lines {
        let Some((_, end)) = line.points.last() else { continue };
        let mut path = String::new();
        for (index, (at, value)) in line.points.iter().enumerate() {
            let step = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{step}{:.1} {:.1}", x(*at), y(*value));
        }
        let colour = line.colour;
        let _ = write!(out, "<path class=\"line\" style=\"stroke:var({colour})\" d=\"{path}\"/>");
        labels.push((y(*end), line));
    }
    // Names that would lie on each other are moved apart.
    labels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut lowest = 0.0;
    for (at, line) in labels {
        let at = (at + 4.0).max(lowest);
        lowest = at + 14.0;
        let _ = write!(
            out,
            "<text class=\"name\" style=\"fill:var({})\" x=\"{:.1}\" y=\"{at:.1}\">{}</text>",
            line.colour,
            WIDTH - RIGHT + 6.0,
            line.name
        );
    }
    out.push_str("</svg>");
    out
}

/// Round numbers from 0 up to at least `most`, about five of them.
fn ticks(most: f64) -> Vec<f64> {
    let rough = most / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    let count = (most / step).ceil() as usize;
    // Rounded, so that 0.1 + 0.2 does not show as what it is.
    (0..=count).map(|n| (n as f64 * step * 1e6).round() / 1e6).collect()
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 26.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers() {
        assert_eq!(ticks(1.0), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(ticks(25.0), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(ticks(5000.0), [0.0, 2000.0, 4000.0, 6000.0]);
    }

    #[test]
    fn draws_nothing_strange_without_data() {
        let empty = draw("t", &[Line { name: "a", colour: "--a", points: Vec::new() }]);
        assert!(empty.starts_with("<svg") && !empty.contains("NaN") && !empty.contains("inf"));
        let points = vec![(0.0, 0.0), (1.0, 5.0)];
        let one = draw("t", &[Line { name: "a", colour: "--a", points }]);
        assert!(one.contains("M52.0 234.0L650.0"), "{one}");
    }
}
