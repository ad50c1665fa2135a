//! The learning curve of a run as a picture: the loss, and the share of right answers. Knows events, no files but its own.

use crate::train::error::Error;
use crate::train::error::Result;
use crate::train::journal::Event;
use plotters::prelude::*;
use std::path::Path;

/// Name of the picture in a run's folder.
pub const CURVE: &str = "curve.svg";

const SIZE: (u32, u32) = (960, 640);

/// Draws the events so far. Nothing is drawn before the first.
///
/// # Errors
/// If the picture cannot be written.
pub fn draw(events: &[Event], folder: &Path) -> Result<()> {
    let path = folder.join(CURVE);
    let loss: Vec<(f64, f64)> = events.iter().filter_map(loss).collect();
    let right: Vec<(f64, f64)> = events.iter().filter_map(share_right).collect();
    let Some(last) = events.last() else { return Ok(()) };
    let mut picture = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        panels(&area, last.step() as f64, &loss, &right)
    };
    drawn.map_err(|error| Error::state(&path, &error))?;
    std::fs::write(&path, picture).map_err(Error::io(&path))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn panels(area: &Area<'_>, end: f64, loss: &[(f64, f64)], right: &[(f64, f64)]) -> Drawn {
    area.fill(&WHITE)?;
    let (above, below) = area.split_vertically(SIZE.1 / 2);
    let highest = loss.iter().map(|(_, loss)| *loss).fold(0.0, f64::max).max(1e-3);
    panel(&above, "loss", (end, highest * 1.05), loss)?;
    panel(&below, "right answers, %", (end, 100.0), right)?;
    area.present()?;
    Ok(())
}

fn panel(area: &Area<'_>, label: &str, (end, top): (f64, f64), line: &[(f64, f64)]) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..end.max(1.0), 0.0..top)?;
    chart.configure_mesh().x_desc("step").y_desc(label).light_line_style(WHITE).draw()?;
    chart.draw_series(LineSeries::new(line.iter().copied(), BLUE.stroke_width(2)))?;
    Ok(())
}

fn loss(event: &Event) -> Option<(f64, f64)> {
    match event {
        Event::Train { step, loss, .. } => Some((*step as f64, *loss)),
        Event::Validate { .. } => None,
    }
}

fn share_right(event: &Event) -> Option<(f64, f64)> {
    match event {
        Event::Validate { step, right, questions, .. } => {
            Some((*step as f64, 100.0 * *right as f64 / (*questions).max(1) as f64))
        }
        Event::Train { .. } => None,
    }
}
