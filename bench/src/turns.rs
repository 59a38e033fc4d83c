//! Two ways that take turns on the same server, so that what changes on the machine meanwhile meets both.

use anyhow::Result;

use crate::report::progress;

/// What was measured of two ways.
#[derive(Debug)]
pub(crate) struct Turns {
    /// Of each turn, our rate over the other one.
    pub(crate) ratios: Vec<f64>,
    /// The median of our rates.
    pub(crate) ours: f64,
    /// The median of the other ones.
    pub(crate) other: f64,
}

/// Measures the rates of two ways `turns` times each, and the first as often as the second comes first.
///
/// One more turn goes before, which warms up the plans of every connection and does not count.
pub(crate) async fn compare(
    row: &'static str,
    turns: usize,
    ours: impl AsyncFn() -> Result<f64>,
    other: impl AsyncFn() -> Result<f64>,
) -> Result<Turns> {
    let bar = progress(row, turns);
    let (mut ratios, mut our_rates, mut other_rates) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=turns {
        let (our, other) = if turn % 2 == 0 {
            let our = ours().await?;
            (our, other().await?)
        } else {
            let other = other().await?;
            (ours().await?, other)
        };
        if turn > 0 {
            ratios.push(our / other);
            our_rates.push(our);
            other_rates.push(other);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(Turns { ratios, ours: median(&mut our_rates), other: median(&mut other_rates) })
}

/// Returns a count as what it is divided with.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}
