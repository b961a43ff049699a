//! How families of metrics are written: a name, a help, samples with labels.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use translate::{Latency, Span};

/// Each span with its name.
pub(super) const WINDOWS: [(&str, Span); 4] = [
    ("1m", Span::Minute),
    ("10m", Span::TenMinutes),
    ("1h", Span::Hour),
    ("24h", Span::Day),
];

/// Names and values.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Writes families one after the other.
pub(super) struct Families<'e> {
    pub(super) encoder: DescriptorEncoder<'e>,
}

impl Families<'_> {
    /// Writes a counter; `_total` is added to its name.
    pub(super) fn counters<'a, V: EncodeCounterValue>(
        &mut self,
        (name, help): (&str, &str),
        samples: impl IntoIterator<Item = (Labels<'a>, V)>,
    ) -> fmt::Result {
        let mut metric = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            let none: Option<&Exemplar<NoLabelSet, f64>> = None;
            match labels.is_empty() {
                true => metric.encode_counter(&value, none)?,
                false => metric
                    .encode_family(&labels)?
                    .encode_counter(&value, none)?,
            }
        }
        Ok(())
    }

    /// Writes a counter without labels.
    pub(super) fn counter<V: EncodeCounterValue>(
        &mut self,
        about: (&str, &str),
        value: V,
    ) -> fmt::Result {
        self.counters(about, [(Labels::new(), value)])
    }

    /// Writes a gauge.
    pub(super) fn gauges<'a, V: EncodeGaugeValue>(
        &mut self,
        (name, help): (&str, &str),
        samples: impl IntoIterator<Item = (Labels<'a>, V)>,
    ) -> fmt::Result {
        let mut metric = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            match labels.is_empty() {
                true => metric.encode_gauge(&value)?,
                false => metric.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    /// Writes a gauge without labels.
    pub(super) fn gauge<V: EncodeGaugeValue>(
        &mut self,
        about: (&str, &str),
        value: V,
    ) -> fmt::Result {
        self.gauges(about, [(Labels::new(), value)])
    }

    /// Writes a histogram.
    pub(super) fn histograms<'a>(
        &mut self,
        (name, help): (&str, &str),
        samples: impl IntoIterator<Item = (Labels<'a>, Latency)>,
    ) -> fmt::Result {
        let mut metric = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, latency) in samples {
            let buckets: Vec<_> = latency.buckets().collect();
            let (sum, count) = (latency.sum().as_secs_f64(), latency.count());
            let none = None::<&HashMap<usize, Exemplar<NoLabelSet, f64>>>;
            match labels.is_empty() {
                true => metric.encode_histogram(sum, count, &buckets, none)?,
                false => metric
                    .encode_family(&labels)?
                    .encode_histogram(sum, count, &buckets, none)?,
            }
        }
        Ok(())
    }
}

/// Gives counters under known labels, also where they are 0, and then those under others.
pub(super) fn labelled<'a>(
    label: &'static str,
    known: &'a [&'static str],
    counts: &'a BTreeMap<&'static str, u64>,
) -> impl Iterator<Item = (Labels<'a>, u64)> {
    let others = counts.keys().filter(|name| !known.contains(name));
    known.iter().chain(others).map(move |name| {
        let count = counts.get(name).copied().unwrap_or_default();
        (vec![(label, *name)], count)
    })
}
