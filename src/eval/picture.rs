//! Accuracy against latent steps as a drawing. Knows numbers only.

use crate::eval::report::Report;
use crate::eval::samples_picture;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

/// In pixels.
const SIZE: (u32, u32) = (720, 440);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(31, 92, 153);

/// A point with its interval.
struct Point {
    steps: i32,
    percent: f64,
    bounds: [f64; 2],
}

/// Writes an SVG file: a point and a 95 % interval for each number of latent steps; of several samples, pass@k against k.
///
/// # Errors
/// Where the file cannot be written.
pub fn draw(report: &Report, path: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut svg = String::new();
    let many = report.runs.iter().any(|run| run.samples() > 1);
    let plot = if many { samples_picture::plot } else { plot };
    plot(report, &mut svg).map_err(|error| error.to_string())?;
    Ok(std::fs::write(path, svg)?)
}

fn plot(report: &Report, svg: &mut String) -> Result<(), Box<dyn Error>> {
    let points = points(report);
    let steps = || points.iter().map(|point| point.steps);
    let (first, last) = (steps().min().unwrap_or(0), steps().max().unwrap_or(0));
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!("{} on {}", report.model, report.data);
    let mut chart = ChartBuilder::on(&root)
        .caption(title, (FONT, 18))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(first - 1..last + 1, 0.0..100.0)?;
    let label = |step: &i32| match (first..=last).contains(step) {
        true => step.to_string(),
        false => String::new(),
    };
    let ticks = usize::try_from(last - first).unwrap_or(0).min(24) + 3;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("latent steps").y_desc("right answers, %").label_style((FONT, 13));
    mesh.x_labels(ticks)
        .x_label_formatter(&label)
        .y_label_formatter(&|percent| format!("{percent:.0}"));
    mesh.disable_x_mesh().light_line_style(TRANSPARENT).draw()?;
    let line = points.iter().map(|point| (point.steps, point.percent));
    chart.draw_series(LineSeries::new(line.clone(), INK.stroke_width(2)))?;
    chart.draw_series(points.iter().map(|point| {
        let bound = |at: usize| (point.steps, point.bounds[at]);
        PathElement::new(vec![bound(0), bound(1)], INK.mix(0.5).stroke_width(2))
    }))?;
    chart.draw_series(line.map(|at| Circle::new(at, 4, INK.filled())))?;
    root.present()?;
    drop(chart);
    drop(root);
    Ok(())
}

fn points(report: &Report) -> Vec<Point> {
    let runs = report.runs.iter().map(|run| {
        let (accuracy, bounds) = run.accuracy();
        let steps = i32::try_from(run.latent_steps).unwrap_or(i32::MAX - 1);
        Point { steps, percent: accuracy * 100.0, bounds: bounds.map(|bound| bound * 100.0) }
    });
    runs.collect()
}
