//! Pictures of results as SVG. Does not know where the numbers come from.

use crate::bench::report::Report;
use crate::bench::sweep::Axis;
use crate::bench::sweep::Point;
use anyhow::Context as _;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (800, 480);
const FONT: &str = "sans-serif";
const COLOURS: [RGBColor; 3] =
    [RGBColor(31, 119, 180), RGBColor(214, 39, 40), RGBColor(44, 160, 44)];

/// A line with its name.
type Curve = (&'static str, Vec<(f64, f64)>);

/// One chart.
struct Chart<'a> {
    title: &'a str,
    x: &'a str,
    y: &'a str,
    curves: Vec<Curve>,
}

/// How many answers came within which time.
pub(crate) fn latency(path: &Path, report: &Report) -> anyhow::Result<()> {
    let curve = |percentiles: &[f64]| -> Vec<(f64, f64)> {
        percentiles.iter().copied().zip((0..=100).map(f64::from)).collect()
    };
    let spreads = [("answer", &report.latency_ms), ("first token", &report.first_token_ms)];
    let curves = spreads
        .into_iter()
        .filter_map(|(name, spread)| Some((name, curve(&spread.as_ref()?.percentiles))))
        .collect();
    let title = "Share of requests done within a time";
    draw(path, &[Chart { title, x: "milliseconds", y: "percent", curves }])
}

/// Throughput and latency against the setting that was changed. Values at which nothing was answered have no place.
pub(crate) fn sweep(path: &Path, axis: Axis, points: &[Point]) -> anyhow::Result<()> {
    let curve = |y: &dyn Fn(&Report) -> Option<f64>| -> Vec<(f64, f64)> {
        points.iter().filter_map(|point| Some((axis.place(point), y(&point.report)?))).collect()
    };
    let answered = |report: &Report| report.latency_ms.is_some();
    let rate = curve(&|report| answered(report).then_some(report.requests_per_second));
    let p50 = curve(&|report| report.latency_ms.as_ref().map(|spread| spread.p50));
    let p99 = curve(&|report| report.latency_ms.as_ref().map(|spread| spread.p99));
    let x = axis.label();
    let throughput =
        Chart { title: "Throughput", x, y: "requests/s", curves: vec![("answers", rate)] };
    let latency =
        Chart { title: "Latency", x, y: "milliseconds", curves: vec![("p50", p50), ("p99", p99)] };
    draw(path, &[throughput, latency])
}

fn draw(path: &Path, charts: &[Chart<'_>]) -> anyhow::Result<()> {
    let (width, height) = SIZE;
    let mut svg = String::new();
    {
        let size = (width, height * charts.len() as u32);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        // The error borrows the picture; its text does not.
        draw_all(&area, charts).map_err(|error| anyhow::anyhow!("cannot draw: {error}"))?;
    }
    std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))
}

type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw_all<'a>(area: &DrawingArea<SVGBackend<'a>, Shift>, charts: &[Chart<'_>]) -> Drawn<'a> {
    area.fill(&WHITE)?;
    for (part, chart) in area.split_evenly((charts.len(), 1)).iter().zip(charts) {
        draw_one(part, chart)?;
    }
    area.present()
}

fn draw_one<'a>(area: &DrawingArea<SVGBackend<'a>, Shift>, chart: &Chart<'_>) -> Drawn<'a> {
    let end = |of: fn(&(f64, f64)) -> f64| {
        let points = chart.curves.iter().flat_map(|(_, points)| points);
        // A chart without points, or with all of them at 0, still needs a range.
        points.map(of).fold(0.0, f64::max).max(1e-9) * 1.05
    };
    let (x_end, y_end) = (end(|&(x, _)| x), end(|&(_, y)| y));
    let mut context = ChartBuilder::on(area)
        .caption(chart.title, (FONT, 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..x_end, 0.0..y_end)?;
    context
        .configure_mesh()
        .x_desc(chart.x)
        .y_desc(chart.y)
        .label_style((FONT, 13))
        .light_line_style(WHITE)
        .draw()?;
    for ((name, points), colour) in chart.curves.iter().zip(COLOURS) {
        context
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        // Where runs were made; the lines between are only to guide the eye. A hundred percentiles need none.
        if points.len() < 50 {
            context
                .draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        }
    }
    context
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .border_style(BLACK)
        .background_style(WHITE)
        .label_font((FONT, 13))
        .draw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::Spread;
    use std::collections::BTreeMap;

    fn report(scale: f64) -> Report {
        let percentiles = (0..=100).map(|p| scale * f64::from(p)).collect();
        let spread =
            Spread { mean: scale, p50: scale, p90: scale, p99: scale, max: scale, percentiles };
        Report {
            requests: 1,
            answered: 1,
            errors: BTreeMap::new(),
            told_to_return: 0,
            warned: 0,
            warning: None,
            seconds: 1.0,
            requests_per_second: scale,
            tokens_per_second: scale,
            thoughts_per_second: scale,
            prompt_tokens: scale,
            latency_ms: Some(spread),
            first_token_ms: None,
            answers: Vec::new(),
        }
    }

    fn drawn(draw: impl Fn(&Path) -> anyhow::Result<()>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.svg");
        draw(&path).unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_latency_picture_has_a_line_and_axes() {
        let svg = drawn(|path| latency(path, &report(2.0)));
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for part in ["milliseconds", "percent", "answer", "<polyline"] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(!svg.contains("first token"));
    }

    #[test]
    fn a_sweep_has_throughput_and_latency() {
        let points: Vec<Point> =
            [1, 2, 4].map(|value| Point { value, report: report(value as f64) }).into();
        let svg = drawn(|path| sweep(path, Axis::Clients, &points));
        for part in ["requests/s", "p99", "clients"] {
            assert!(svg.contains(part), "{part}");
        }
    }

    #[test]
    fn nothing_can_be_drawn_too() {
        let none = Report { latency_ms: None, ..report(0.0) };
        assert!(drawn(|path| latency(path, &none)).contains("</svg>"));
        assert!(drawn(|path| sweep(path, Axis::Words, &[])).contains("</svg>"));
    }
}
