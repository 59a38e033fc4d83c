//! Records on their way to the database, as the columns of one call.

use std::{borrow::Cow, collections::HashMap};

use super::text;
use crate::record::Output;

/// Records as columns; what they hold is borrowed.
#[derive(Debug, Default)]
pub(super) struct Batch<'a> {
    /// Of the installation.
    pub(super) prefix: &'a str,
    /// Topics, with the prefix, of the partitions that get something.
    pub(super) topics: Vec<String>,
    pub(super) partitions: Vec<i32>,
    /// How many records each of them gets.
    pub(super) counts: Vec<i32>,
    /// For each record, the place of its partition among these, from one.
    pub(super) places: Vec<i32>,
    /// And its number among the records of that partition, from zero.
    pub(super) ranks: Vec<i32>,
    pub(super) keys: Vec<Option<Cow<'a, str>>>,
    pub(super) headers: Vec<Cow<'static, str>>,
    pub(super) values: Vec<&'a [u8]>,
}

impl<'a> Batch<'a> {
    /// Arranges records for the database; their order within a partition stays as it is.
    pub(super) fn new(prefix: &'a str, outputs: &'a [Output]) -> Self {
        let mut batch = Self {
            prefix,
            places: Vec::with_capacity(outputs.len()),
            ranks: Vec::with_capacity(outputs.len()),
            keys: Vec::with_capacity(outputs.len()),
            headers: Vec::with_capacity(outputs.len()),
            values: Vec::with_capacity(outputs.len()),
            ..Self::default()
        };
        let mut places: HashMap<(&str, i32), usize> = HashMap::new();
        for output in outputs {
            let partition = (&*output.topic, output.partition);
            let place = *places.entry(partition).or_insert_with(|| {
                batch.topics.push(format!("{prefix}{}", output.topic));
                batch.partitions.push(output.partition);
                batch.counts.push(0);
                batch.counts.len() - 1
            });
            // A call has far fewer partitions and records than fit.
            batch.places.push(i32::try_from(place + 1).unwrap_or(i32::MAX));
            batch.ranks.push(batch.counts[place]);
            batch.counts[place] += 1;
            batch.keys.push(output.key.as_deref().map(text::write_key));
            batch.headers.push(text::write_headers(&output.headers));
            batch.values.push(&output.value);
        }
        batch
    }

    /// Returns the offset of each record, where `firsts` are those of the first ones of the partitions.
    pub(super) fn offsets(&self, firsts: &[i64]) -> Vec<i64> {
        let first = |place: i32| {
            let place = usize::try_from(place - 1).ok();
            place.and_then(|place| firsts.get(place)).copied().unwrap_or_default()
        };
        let records = self.places.iter().zip(&self.ranks);
        records.map(|(place, rank)| first(*place) + i64::from(*rank)).collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::record::Headers;

    #[test]
    fn records_are_numbered_within_their_partitions() {
        let output = |topic: &'static str, partition| {
            let (key, headers, value) = (None, Headers::new(), Bytes::new());
            Output { topic: topic.into(), partition, key, headers, value }
        };
        let outputs = [output("a", 3), output("b", 3), output("a", 3), output("a", 0)];
        let batch = Batch::new("x.", &outputs);
        assert_eq!(batch.topics, ["x.a", "x.b", "x.a"]);
        assert_eq!(batch.partitions, [3, 3, 0]);
        assert_eq!(batch.counts, [2, 1, 1]);
        assert_eq!(batch.places, [1, 2, 1, 3]);
        assert_eq!(batch.ranks, [0, 0, 1, 0]);
        assert_eq!(batch.offsets(&[10, 20, 30]), [10, 20, 11, 30]);
    }
}
