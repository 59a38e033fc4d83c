//! How large something is, roughly.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::{anonymous::Anonymous, count::Count, value::Value};

/// A range that a number lies in, told instead of the number.
///
/// It is written with both ends included, `10-99` for example; `0` and other ranges of one number are written as the
/// number, the open ones as `<0` and `>=1000`.
/// Fractions are rounded down before the range is looked up, so that 9.9 lies in `1-9`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Bucket {
    /// The least number of the range; `None` where it is open below.
    low: Option<u64>,
    /// The first number above the range; `None` where it is open above.
    end: Option<u64>,
}

impl Bucket {
    /// Returns the power of ten that `value` has reached: `0`, `1-9`, `10-99`, `100-999` and so on, and `<0`.
    ///
    /// `None` is what cannot be measured.
    pub fn of<M: Measured + ?Sized>(value: &M) -> Option<Self> {
        let Ok(value) = u64::try_from(value.measure()?) else {
            return Some(Self { low: None, end: Some(0) });
        };
        let Some(exponent) = value.checked_ilog10() else {
            return Some(Self { low: Some(0), end: Some(1) });
        };
        Some(Self { low: 10_u64.checked_pow(exponent), end: 10_u64.checked_pow(exponent + 1) })
    }

    /// Returns the range between two neighbours of `bounds` that `value` lies in.
    ///
    /// A bound is the least number of its range: `[10, 100]` gives `<10`, `10-99` and `>=100`.
    /// Bounds are in ascending order, which `#[telemetry(bucket(..))]` checks at compile time.
    /// `None` is what cannot be measured.
    pub fn within<M: Measured + ?Sized>(value: &M, bounds: &[u64]) -> Option<Self> {
        let value = value.measure()?;
        let reached = bounds.partition_point(|bound| i128::from(*bound) <= value);
        let low = reached.checked_sub(1).and_then(|last| bounds.get(last)).copied();
        Some(Self { low, end: bounds.get(reached).copied() })
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.low, self.end) {
            (Some(low), Some(end)) if end <= low + 1 => write!(f, "{low}"),
            (Some(low), Some(end)) => write!(f, "{low}-{}", end - 1),
            (Some(low), None) => write!(f, ">={low}"),
            (None, Some(end)) => write!(f, "<{end}"),
            (None, None) => f.write_str("any"),
        }
    }
}

impl Anonymous for Bucket {
    fn to_value(&self) -> Option<Value> {
        Some(Value::text(self.to_string()))
    }
}

impl Serialize for Bucket {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Bucket {
    fn schema_name() -> Cow<'static, str> {
        "Bucket".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A range of numbers, both ends included.",
            "examples": ["0", "10-99", ">=1000"],
        })
    }
}

/// A quantity that has a size.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no size, so it cannot be put into a bucket for telemetry",
    label = "not a quantity",
    note = "`#[telemetry(bucket)]` takes numbers and `Duration` (in milliseconds)"
)]
pub trait Measured {
    /// Returns the size, rounded down, or `None` where there is none.
    fn measure(&self) -> Option<i128>;
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Measured for $integer {
            fn measure(&self) -> Option<i128> {
                i128::try_from(*self).ok()
            }
        }
    )*};
}

integers! { u8 u16 u32 u64 usize i8 i16 i32 i64 isize }

impl Measured for f64 {
    fn measure(&self) -> Option<i128> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float beyond the ends lies in the last bucket"
        )]
        (!self.is_nan()).then(|| self.floor() as i128)
    }
}

impl Measured for f32 {
    fn measure(&self) -> Option<i128> {
        f64::from(*self).measure()
    }
}

impl Measured for Duration {
    /// Returns whole milliseconds.
    fn measure(&self) -> Option<i128> {
        i128::try_from(self.as_millis()).ok()
    }
}

impl Measured for Count {
    fn measure(&self) -> Option<i128> {
        Some(i128::from(self.get()))
    }
}

impl<M: Measured + ?Sized> Measured for &M {
    fn measure(&self) -> Option<i128> {
        (**self).measure()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text<M: Measured>(value: &M, bounds: Option<&[u64]>) -> String {
        let bucket =
            bounds.map_or_else(|| Bucket::of(value), |bounds| Bucket::within(value, bounds));
        bucket.map_or_else(|| "none".into(), |bucket| bucket.to_string())
    }

    #[test]
    fn power_of_ten_is_the_default() {
        let cases = [
            (text(&-1_i32, None), "<0"),
            (text(&0_u8, None), "0"),
            (text(&1_u8, None), "1-9"),
            (text(&9.9_f64, None), "1-9"),
            (text(&-0.5_f64, None), "<0"),
            (text(&10_u64, None), "10-99"),
            (text(&99_999_usize, None), "10000-99999"),
            (text(&u64::MAX, None), ">=10000000000000000000"),
            (text(&Duration::from_secs(2), None), "1000-9999"),
            (text(&Count::new(3), None), "1-9"),
            (text(&f64::NAN, None), "none"),
        ];
        for (bucket, expected) in cases {
            assert_eq!(bucket, expected);
        }
    }

    #[test]
    fn given_bound_is_the_least_number_of_its_range() {
        let cases = [
            (text(&9, Some(&[10, 100])), "<10"),
            (text(&10, Some(&[10, 100])), "10-99"),
            (text(&100, Some(&[10, 100])), ">=100"),
            (text(&0, Some(&[0, 1, 5])), "0"),
            (text(&4, Some(&[0, 1, 5])), "1-4"),
            (text(&-4, Some(&[0, 1, 5])), "<0"),
            (text(&4, Some(&[])), "any"),
        ];
        for (bucket, expected) in cases {
            assert_eq!(bucket, expected);
        }
    }

    proptest! {
        #[test]
        fn number_lies_in_its_bucket(value: u64, mut bounds in proptest::collection::vec(any::<u64>(), 0..8)) {
            bounds.sort_unstable();
            for bucket in [Bucket::of(&value), Bucket::within(&value, &bounds)] {
                let Some(Bucket { low, end }) = bucket else { panic!("an integer has a size") };
                prop_assert!(low.is_none_or(|low| low <= value));
                prop_assert!(end.is_none_or(|end| value < end));
            }
        }
    }
}
