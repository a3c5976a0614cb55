//! The text format of Prometheus, version 0.0.4: what a scrape is answered with.

use std::fmt::{Display, Write as _};

use super::{About, Family, Kind};

/// The media type of what `render` gives.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A text to which samples are added.
#[derive(Default)]
pub struct Writer(String);

impl Writer {
    fn family(&mut self, family: &dyn Family) {
        let About { name, help, kind, .. } = family.about();
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        family.write(self);
    }

    /// Adds a sample. `values` stand in the order of the family's labels; `bound` is what a bucket of
    /// a histogram reaches to.
    pub fn sample(
        &mut self,
        about: &About,
        suffix: &str,
        values: &[&str],
        bound: Option<f64>,
        value: impl Display,
    ) {
        self.put(format_args!("{}{suffix}", about.name));
        let mut between = '{';
        for (label, text) in about.labels.iter().zip(values) {
            self.put(format_args!("{between}{label}=\"{text}\""));
            between = ',';
        }
        match bound {
            Some(bound) if bound.is_finite() => self.put(format_args!("{between}le=\"{bound}\"}}")),
            Some(_) => self.put(format_args!("{between}le=\"+Inf\"}}")),
            None if between == ',' => self.0.push('}'),
            None => {}
        }
        self.put(format_args!(" {value}\n"));
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(text);
    }
}

/// Every family with its help, its type and its samples now.
pub fn render<'a>(families: impl Iterator<Item = &'a dyn Family>) -> String {
    let mut writer = Writer::default();
    for family in families {
        writer.family(family);
    }
    writer.0
}
