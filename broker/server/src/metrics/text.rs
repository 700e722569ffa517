//! The text format that Prometheus reads, version 0.0.4.

use std::fmt::Write;

use super::catalog::Def;

/// A scrape under construction. Samples of one family follow its head.
#[derive(Debug, Default)]
pub(crate) struct Text {
    out: String,
    name: &'static str,
}

impl Text {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), name: "" }
    }

    /// Begins a family.
    pub(crate) fn family(&mut self, def: &Def) {
        self.name = def.name;
        let (name, help, kind) = (def.name, def.help, def.kind.name());
        // Writing to a String does not fail.
        let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample of the family; `suffix` is `_sum` or `_count` of a summary, else empty.
    pub(crate) fn sample(&mut self, suffix: &str, labels: &Labels, value: impl Value) {
        let Labels(labels) = labels;
        // Piece by piece: ten thousand partitions make fifty thousand of these.
        for piece in [self.name, suffix, labels, " "] {
            self.out.push_str(piece);
        }
        value.write(&mut self.out);
        self.out.push('\n');
    }

    /// A family of one sample without labels.
    pub(crate) fn single(&mut self, def: &Def, value: impl Value) {
        self.family(def);
        self.sample("", &Labels::NONE, value);
    }

    /// What a registry has gathered.
    pub(crate) fn gathered(&mut self, families: &[prometheus::proto::MetricFamily]) {
        // Only a family without samples is refused, and a registry gathers none.
        let _ = prometheus::TextEncoder::new().encode_utf8(families, &mut self.out);
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }
}

/// A number of a sample.
pub(crate) trait Value {
    /// Appends the number's digits.
    fn write(self, into: &mut String);
}

macro_rules! integers {
    ($($kind:ty),*) => {$(
        impl Value for $kind {
            fn write(self, into: &mut String) {
                into.push_str(itoa::Buffer::new().format(self));
            }
        }
    )*};
}

integers!(u8, i32, i64, u64, usize);

impl Value for f64 {
    fn write(self, into: &mut String) {
        // Writing to a String does not fail.
        let _ = write!(into, "{self}");
    }
}

/// The labels of a sample, as they are written.
#[derive(Debug, Clone)]
pub(crate) struct Labels(String);

impl Labels {
    pub(crate) const NONE: Self = Self(String::new());

    pub(crate) fn new(pairs: &[(&str, &str)]) -> Self {
        let mut text = String::with_capacity(64);
        for (name, value) in pairs {
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push_str(name);
            text.push_str("=\"");
            escape(value, &mut text);
            text.push('"');
        }
        if !text.is_empty() {
            text.push('}');
        }
        Self(text)
    }
}

fn escape(value: &str, into: &mut String) {
    if !value.contains(['\\', '"', '\n']) {
        into.push_str(value);
        return;
    }
    for c in value.chars() {
        match c {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            c => into.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalog::REQUEST_TOTAL;

    #[test]
    fn labels_are_escaped() {
        let Labels(text) = Labels::new(&[("a", "b\\\"c\nd"), ("e", "é")]);
        assert_eq!(text, "{a=\"b\\\\\\\"c\\nd\",e=\"é\"}");
        assert_eq!(Labels::new(&[]).0, "");
    }

    #[test]
    fn a_family_has_its_head_once() {
        let mut text = Text::default();
        text.family(&REQUEST_TOTAL);
        text.sample("", &Labels::new(&[("request", "Fetch"), ("quantile", "0.99")]), 1.5);
        text.sample("_count", &Labels::new(&[("request", "Fetch")]), -3i64);
        let name = "kafka_network_requestmetrics_totaltimems";
        let head = format!("# HELP {name} {}\n# TYPE {name} summary\n", REQUEST_TOTAL.help);
        let body = format!(
            "{name}{{request=\"Fetch\",quantile=\"0.99\"}} 1.5\n\
             {name}_count{{request=\"Fetch\"}} -3\n"
        );
        assert_eq!(text.finish(), head + &body);
    }
}
