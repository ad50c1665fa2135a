//! What was found as a drawing: answers by number of thoughts, entropy and frontiers by thought, replaced thoughts. Knows
//! numbers only.

use crate::probe::summary::Summary;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

/// Of one panel, in pixels.
const PANEL: (u32, u32) = (520, 340);
const FONT: &str = "sans-serif";

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line: its name, and its points by number.
type Line = (String, Vec<(i32, f64)>);

/// Writes an SVG file with a panel each.
///
/// # Errors
/// Where it cannot be written.
pub fn draw(
    summary: &Summary,
    title: &str,
    path: &Path,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut svg = String::new();
    plot(summary, title, &mut svg).map_err(|error| error.to_string())?;
    Ok(std::fs::write(path, svg)?)
}

fn plot(summary: &Summary, title: &str, svg: &mut String) -> Result<(), Box<dyn Error>> {
    let panels = panels(summary);
    let rows = panels.len().div_ceil(2);
    let size = (PANEL.0 * 2, PANEL.1 * rows as u32 + 40);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let below = root.titled(title, (FONT, 20))?;
    for (area, (x, y, top, lines)) in below.split_evenly((rows, 2)).iter().zip(&panels) {
        panel(area, (x, y), *top, lines)?;
    }
    root.present()?;
    Ok(())
}

type Panel = (&'static str, &'static str, f64, Vec<Line>);

fn panels(summary: &Summary) -> Vec<Panel> {
    let percent = |name: &str, from: i32, shares: &[f64]| -> Line {
        (name.to_owned(), (from..).zip(shares.iter().map(|share| share * 100.0)).collect())
    };
    let most = summary.entropy.iter().copied().fold(0.1, f64::max);
    let entropy = (1..).zip(summary.entropy.iter().copied()).collect();
    let mut panels = vec![
        (
            "thoughts",
            "%",
            100.0,
            vec![
                percent("right answers", 0, &summary.accuracy),
                percent("same answer as at the end", 0, &summary.agreement),
                percent("probability of the right answer", 0, &summary.right),
            ],
        ),
        (
            "thought",
            "entropy, nats",
            most * 1.1,
            vec![("entropy of the head's view".to_owned(), entropy)],
        ),
    ];
    if !summary.frontiers.is_empty() {
        let hops = summary.frontiers[0].len().min(6);
        let line = |hops: usize| {
            let mass: Vec<f64> = summary.frontiers.iter().map(|thought| thought[hops]).collect();
            percent(&format!("nodes at {hops} hops"), 1, &mass)
        };
        panels.push(("thought", "mass, %", 100.0, (0..hops).map(line).collect()));
    }
    if !summary.edits.is_empty() {
        let line = |(name, shares): &(String, Vec<Option<f64>>)| -> Line {
            let points = (1..).zip(shares).filter_map(|(k, share)| Some((k, (*share)? * 100.0)));
            (name.clone(), points.collect())
        };
        panels.push((
            "thought that is replaced",
            "right answers, %",
            100.0,
            summary.edits.iter().map(line).collect(),
        ));
    }
    panels
}

fn panel(
    area: &Area<'_>,
    (x, y): (&str, &str),
    top: f64,
    lines: &[Line],
) -> Result<(), Box<dyn Error>> {
    let points = || lines.iter().flat_map(|(_, points)| points.iter().map(|(k, _)| *k));
    let (first, last) = (points().min().unwrap_or(0), points().max().unwrap_or(1));
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .x_label_area_size(40)
        .y_label_area_size(52)
        .build_cartesian_2d(first..last.max(first + 1), 0.0..top)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(x).y_desc(y).label_style((FONT, 13));
    mesh.x_labels(usize::try_from(last - first).unwrap_or(0).min(24) + 1);
    mesh.light_line_style(TRANSPARENT).draw()?;
    for (index, (name, points)) in lines.iter().enumerate() {
        let colour = Palette99::pick(index).mix(1.0);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|&at| Circle::new(at, 3, colour.filled())))?;
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::MiddleRight).label_font((FONT, 12));
    labels.background_style(WHITE.mix(0.8)).draw()?;
    Ok(())
}
