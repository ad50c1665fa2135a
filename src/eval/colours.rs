//! Colours of lines in drawings. Knows no drawing.

use plotters::style::RGBColor;

/// One that is told from others on white, of a line.
pub fn colour(index: usize) -> RGBColor {
    const ALL: [RGBColor; 6] = [
        RGBColor(31, 92, 153),
        RGBColor(200, 80, 30),
        RGBColor(50, 130, 60),
        RGBColor(130, 60, 150),
        RGBColor(90, 90, 90),
        RGBColor(170, 120, 0),
    ];
    ALL[index % ALL.len()]
}
