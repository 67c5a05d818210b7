//! What was measured, as Markdown and as plots.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::{fs, io};

use plotters::prelude::*;

use crate::figures::Spread;

const BEGIN: &str = "<!-- load: begin; written by `load --report` -->";
const END: &str = "<!-- load: end -->";

/// A figure that stands for itself, mostly one that is to be reached.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What is measured.
    pub name: String,
    /// Of which runtime.
    pub backend: String,
    /// What it is to be. Nothing for one to compare another with.
    pub bound: Option<Bound>,
    /// What it is.
    pub found: Spread,
}

/// What a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// That or less.
    AtMost(f64),
    /// That or more.
    AtLeast(f64),
}

impl Bound {
    /// Whether the middle of the rounds is within it.
    #[must_use]
    pub fn is_reached(self, found: &Spread) -> bool {
        match self {
            Self::AtMost(most) => found.median <= most,
            Self::AtLeast(least) => found.median >= least,
        }
    }
}

impl Figure {
    fn cells(&self) -> [String; 5] {
        let (bound, outcome) = match self.bound {
            Some(bound) if bound.is_reached(&self.found) => (bound.to_string(), "reached"),
            Some(bound) => (bound.to_string(), "not reached"),
            None => (String::new(), ""),
        };
        [self.name.clone(), self.backend.clone(), bound, self.found.to_string(), outcome.to_owned()]
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
        }
    }
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// One with these columns.
    #[must_use]
    pub fn new<const COLUMNS: usize>(head: [&str; COLUMNS]) -> Self {
        Self { head: head.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<const COLUMNS: usize>(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells.into());
    }
}

impl fmt::Display for Table {
    /// As Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.head.len()))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

/// Lines over the same axes.
#[derive(Debug, Clone)]
pub struct Plot {
    /// The name of its file, without `.svg`.
    pub name: &'static str,
    /// What stands above it.
    pub title: String,
    /// What goes to the right.
    pub x: &'static str,
    /// What goes up.
    pub y: &'static str,
    /// The names of places on the right-hand axis, from 0; numbers where there are none.
    pub places: Vec<String>,
    /// A name, and points from left to right.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// One scenario.
#[derive(Debug, Clone)]
pub struct Section {
    /// What it is called.
    pub title: &'static str,
    /// What is measured, and how.
    pub text: &'static str,
    /// What was.
    pub table: Table,
    /// The same to look at.
    pub plots: Vec<Plot>,
}

/// Everything that was measured in one run.
#[derive(Debug, Default)]
pub struct Report {
    /// On what, and with which arguments.
    pub setting: String,
    figures: Vec<Figure>,
    sections: Vec<Section>,
}

impl Report {
    /// Prints and keeps a scenario.
    pub fn section(&mut self, section: Section) {
        println!("## {}\n\n{}\n\n{}", section.title, section.text, section.table);
        self.sections.push(section);
    }

    /// Prints and keeps a figure that is to be reached; nothing of one that could not be measured.
    pub fn goal(&mut self, name: &str, backend: &str, bound: Bound, found: Option<Spread>) {
        self.keep(name, backend, Some(bound), found);
    }

    /// Prints and keeps a figure to compare others with; nothing of one that could not be measured.
    pub fn figure(&mut self, name: &str, backend: &str, found: Option<Spread>) {
        self.keep(name, backend, None, found);
    }

    fn keep(&mut self, name: &str, backend: &str, bound: Option<Bound>, found: Option<Spread>) {
        let Some(found) = found else { return };
        let figure = Figure { name: name.to_owned(), backend: backend.to_owned(), bound, found };
        println!("figure: {}\n", figure.cells().join(": "));
        self.figures.push(figure);
    }

    /// The figures that stand for themselves.
    #[must_use]
    pub fn figures(&self) -> Table {
        let mut table = Table::new(["figure", "runtime", "goal", "measured", ""]);
        for figure in &self.figures {
            table.row(figure.cells());
        }
        table
    }

    /// All of it.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n\n### Goals\n\n{}", self.setting, self.figures());
        for section in &self.sections {
            // Text takes text.
            let _ = write!(text, "\n### {}\n\n{}\n\n{}", section.title, section.text, section.table);
            for plot in &section.plots {
                let _ = write!(text, "\n![{}](plots/{}.svg)\n", plot.title, plot.name);
            }
        }
        text
    }

    /// Puts it between the markers of `docs/performance.md`, and its plots into `docs/plots`.
    ///
    /// # Errors
    /// When the markers are not there, or something cannot be written.
    pub fn write(&self, docs: &Path) -> io::Result<()> {
        let file = docs.join("performance.md");
        let text = fs::read_to_string(&file)?;
        fs::write(&file, between(&text, &self.markdown())?)?;
        fs::create_dir_all(docs.join("plots"))?;
        for plot in self.sections.iter().flat_map(|section| &section.plots) {
            let path = docs.join("plots").join(format!("{}.svg", plot.name));
            draw(plot, &path).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// `text` with `new` between the markers.
fn between(text: &str, new: &str) -> io::Result<String> {
    let missing =
        || io::Error::new(io::ErrorKind::NotFound, format!("expected {BEGIN:?} and {END:?} in the text"));
    let (before, rest) = text.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n\n{new}\n{END}{after}"))
}

fn draw(plot: &Plot, path: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let points = || plot.lines.iter().flat_map(|(_, points)| points);
    let least = points().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let right = points().map(|point| point.0).fold(0.0, f64::max);
    let top = points().map(|point| point.1).fold(0.0, f64::max) * 1.05;
    let area = SVGBackend::new(path, (760, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(&plot.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(least..right, 0.0..top)?;
    let place = |x: &f64| {
        let name = plot.places.get(x.round() as usize);
        name.map_or_else(
            || format!("{x:.0}"),
            |name| if x.fract() == 0.0 { name.clone() } else { String::new() },
        )
    };
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(plot.x).y_desc(plot.y).x_label_formatter(&place).light_line_style(TRANSPARENT);
    if !plot.places.is_empty() {
        mesh.x_labels(plot.places.len());
    }
    mesh.draw()?;
    for (index, (name, points)) in plot.lines.iter().enumerate() {
        let colour = Palette99::pick(index).to_rgba();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_markers_is_replaced() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        assert_eq!(between(&text, "new").unwrap(), format!("a\n{BEGIN}\n\nnew\n{END}\nb\n"));
        assert!(between("no markers", "new").is_err());
    }

    #[test]
    fn a_bound_itself_is_reached() {
        let found = |median| Spread { median, least: 0.0, most: 9.0 };
        assert!(Bound::AtMost(2.7).is_reached(&found(2.7)));
        assert!(!Bound::AtMost(2.7).is_reached(&found(2.8)));
        assert!(Bound::AtLeast(0.8).is_reached(&found(0.8)));
        assert!(!Bound::AtLeast(0.8).is_reached(&found(0.7)));
    }
}
