//! Pass@k and vote of several samples as a drawing. Knows numbers only.

use crate::eval::report::Report;
use plotters::prelude::*;
use std::error::Error;

/// In pixels.
const SIZE: (u32, u32) = (720, 440);
const FONT: &str = "sans-serif";

/// A line against k for each number of latent steps, and across it the share of right votes, dashed.
pub(super) fn plot(report: &Report, svg: &mut String) -> Result<(), Box<dyn Error>> {
    let runs: Vec<_> = report.runs.iter().filter(|run| run.samples() > 1).collect();
    let most = runs.iter().map(|run| run.samples()).max().unwrap_or(2) as f64;
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(format!("{} on {}", report.model, report.data), (FONT, 18))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d((1.0..most).log_scale().base(2.0), 0.0..100.0)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("samples, k").y_desc("right answers, %").label_style((FONT, 13));
    mesh.x_label_formatter(&|k| format!("{k:.0}"))
        .y_label_formatter(&|percent| format!("{percent:.0}"));
    mesh.light_line_style(TRANSPARENT).draw()?;
    for (index, run) in runs.iter().enumerate() {
        let colour = Palette99::pick(index).mix(1.0);
        let line: Vec<_> =
            run.pass_at().into_iter().map(|(k, share)| (k as f64, share * 100.0)).collect();
        let vote = run.accuracy().0 * 100.0;
        let name = format!("pass@k after {} thoughts; vote {vote:.1} %", run.latent_steps);
        chart
            .draw_series(LineSeries::new(line.clone(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        chart.draw_series(line.into_iter().map(|at| Circle::new(at, 3, colour.filled())))?;
        let ends = [(1.0, vote), (most, vote)];
        chart.draw_series(DashedLineSeries::new(ends, 6, 4, colour.stroke_width(1)))?;
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::LowerRight).label_font((FONT, 13)).draw()?;
    root.present()?;
    drop(chart);
    drop(root);
    Ok(())
}
