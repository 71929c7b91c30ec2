use plotters::coord::Shift;
use plotters::prelude::*;

use crate::Error;

const SIZE: (u32, u32) = (560, 300);
const COLOURS: [RGBColor; 2] = [RGBColor(0x1f, 0x5f, 0xa8), RGBColor(0xd0, 0x7a, 0x1f)];
const LIMIT: RGBColor = RGBColor(0xb3, 0x26, 0x1e);
const GRID: RGBColor = RGBColor(0xe4, 0xe8, 0xec);
const FONT: (&str, u32) = ("sans-serif", 13);

/// One line of a plot.
pub(super) struct Series<'a> {
    pub(super) name: &'a str,
    pub(super) points: Vec<(f64, f64)>,
}

/// Lines over the rounds.
pub(super) struct Lines<'a> {
    pub(super) series: Vec<Series<'a>>,
    /// A dashed horizontal line and its name.
    pub(super) limit: Option<(&'a str, f64)>,
    /// The top of the vertical axis; left out: a tenth above the greatest value.
    pub(super) ceiling: Option<f64>,
    pub(super) x: &'a str,
    /// Where the legend covers nothing.
    pub(super) legend: SeriesLabelPosition,
}

impl Lines<'_> {
    /// The plot as an SVG element.
    pub(super) fn svg(&self) -> Result<String, Error> {
        draw(|area| {
            let points = || self.series.iter().flat_map(|series| &series.points);
            let right = points().map(|point| point.0).fold(1.0, f64::max);
            let greatest = points().map(|point| point.1).chain(self.limit.map(|limit| limit.1)).fold(0.0, f64::max);
            let top = self.ceiling.unwrap_or(1.1 * greatest).max(f64::MIN_POSITIVE);
            let mut chart = ChartBuilder::on(area)
                .margin(8)
                .x_label_area_size(36)
                .y_label_area_size(44)
                .build_cartesian_2d(0.0..right, 0.0..top)?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID)
                .axis_style(GRID)
                .label_style(FONT)
                .x_desc(self.x)
                .x_labels(right.min(10.0) as usize + 1)
                .x_label_formatter(&|value| format!("{value:.0}"))
                .y_labels(6)
                .y_label_formatter(&|value| if top > 12.0 { format!("{value:.0}") } else { format!("{value:.1}") })
                .draw()?;
            for (series, colour) in self.series.iter().zip(COLOURS) {
                let style = colour.stroke_width(2);
                chart
                    .draw_series(LineSeries::new(series.points.iter().copied(), style))?
                    .label(series.name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
                chart.draw_series(series.points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
            }
            if let Some((name, value)) = self.limit {
                let style = LIMIT.stroke_width(1);
                chart
                    .draw_series(DashedLineSeries::new([(0.0, value), (right, value)], 6, 4, style))?
                    .label(name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
            }
            chart
                .configure_series_labels()
                .position(self.legend.clone())
                .background_style(WHITE.mix(0.85))
                .border_style(GRID)
                .label_font(FONT)
                .draw()?;
            Ok(())
        })
    }
}

/// Groups of bars, one group a name.
pub(super) struct Bars<'a> {
    pub(super) names: &'a [&'a str],
    pub(super) series: Vec<(&'a str, Vec<f64>)>,
}

impl Bars<'_> {
    /// The plot as an SVG element.
    pub(super) fn svg(&self) -> Result<String, Error> {
        draw(|area| {
            let greatest = self.series.iter().flat_map(|(_, values)| values).copied().fold(0.0, f64::max);
            let top = (1.15 * greatest).max(f64::MIN_POSITIVE);
            let count = self.names.len();
            let mut chart = ChartBuilder::on(area)
                .margin(8)
                .x_label_area_size(28)
                .y_label_area_size(52)
                .build_cartesian_2d(0.0..count as f64, 0.0..top)?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID)
                .axis_style(GRID)
                .label_style(FONT)
                .x_labels(0)
                .y_labels(6)
                .y_label_formatter(&|value| if top > 12.0 { format!("{value:.0}") } else { format!("{value:.2}") })
                .draw()?;
            let width = 0.7 / self.series.len() as f64;
            for (index, ((name, values), colour)) in self.series.iter().zip(COLOURS).enumerate() {
                let bars = values.iter().enumerate().map(|(group, &value)| {
                    let left = group as f64 + 0.15 + index as f64 * width;
                    Rectangle::new([(left, 0.0), (left + width, value)], colour.filled())
                });
                chart
                    .draw_series(bars)?
                    .label(*name)
                    .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
            }
            let plane = chart.plotting_area();
            let style = TextStyle::from(FONT.into_font()).pos(plotters::style::text_anchor::Pos::new(
                plotters::style::text_anchor::HPos::Center,
                plotters::style::text_anchor::VPos::Top,
            ));
            for (group, name) in self.names.iter().enumerate() {
                let (x, y) = plane.map_coordinate(&(group as f64 + 0.5, 0.0));
                area.draw_text(name, &style, (x, y + 8))?;
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .background_style(WHITE.mix(0.85))
                .border_style(GRID)
                .label_font(FONT)
                .draw()?;
            Ok(())
        })
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw(chart: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn std::error::Error>>) -> Result<String, Error> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    chart(&area).and_then(|()| Ok(area.present()?)).map_err(|error| Error::Malformed {
        what: "plot",
        expected: "an SVG drawing".to_owned(),
        got: error.to_string(),
    })?;
    drop(area);
    // Scaled by the page: the element keeps its aspect and takes the width it is given.
    Ok(svg.replacen(&format!("width=\"{}\" height=\"{}\" ", SIZE.0, SIZE.1), "", 1))
}
