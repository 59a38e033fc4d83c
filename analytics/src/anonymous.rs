//! What may leave for analytics.
//!
//! The telemetry view of an event is built only from values whose type implements [`Anonymous`].
//! `String` does not, so a name, a path or an address that is marked for telemetry by mistake does not compile.

use std::{collections::BTreeMap, time::Duration};

use crate::value::Value;

/// A value that says nothing about who it came from.
///
/// Numbers, booleans, `Duration` (as whole milliseconds), and options, lists and maps of anonymous values are.
/// Enums and structs become anonymous with `#[derive(Anonymous)]` when all their fields are.
/// Everything else goes through a wrapper: [`Count`](crate::Count), [`Bucket`](crate::Bucket),
/// [`Hashed`](crate::Hashed), [`Extension`](crate::Extension).
///
/// A number is taken at its word: one that stands for a person, such as a customer number, belongs into `Hashed`.
///
/// # Examples
///
/// An implementation by hand can only pass on what is anonymous itself:
///
/// ```
/// use tidings_analytics::{Anonymous, Value};
///
/// struct Version { major: u16, minor: u16 }
///
/// impl Anonymous for Version {
///     fn to_value(&self) -> Option<Value> {
///         Some(Value::object([("major", self.major.to_value()), ("minor", self.minor.to_value())]))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not anonymous, so it cannot go into telemetry",
    label = "not anonymous",
    note = "text may name a person: use `#[telemetry(hashed)]`, `#[telemetry(count)]`, `#[telemetry(bucket)]` or \
            `#[telemetry(extension)]`, or compute an anonymous value with `#[telemetry(with = function)]`",
    note = "an enum or a struct of your own becomes anonymous with `#[derive(Anonymous)]`"
)]
pub trait Anonymous {
    /// Whether a list of these could be text in disguise.
    #[doc(hidden)]
    const BYTE: bool = false;

    /// Returns what may leave, or `None` where the value is to be left out.
    fn to_value(&self) -> Option<Value>;
}

impl Anonymous for bool {
    fn to_value(&self) -> Option<Value> {
        Some(Value::from(*self))
    }
}

macro_rules! integers {
    ($($integer:ty as $wide:ty, byte: $byte:literal;)*) => {$(
        impl Anonymous for $integer {
            const BYTE: bool = $byte;

            fn to_value(&self) -> Option<Value> {
                <$wide>::try_from(*self).ok().map(Value::from)
            }
        }
    )*};
}

integers! {
    u8 as u64, byte: true;
    u16 as u64, byte: false;
    u32 as u64, byte: false;
    u64 as u64, byte: false;
    usize as u64, byte: false;
    i8 as i64, byte: true;
    i16 as i64, byte: false;
    i32 as i64, byte: false;
    i64 as i64, byte: false;
    isize as i64, byte: false;
}

impl Anonymous for f32 {
    fn to_value(&self) -> Option<Value> {
        Some(Value::float(f64::from(*self)))
    }
}

impl Anonymous for f64 {
    fn to_value(&self) -> Option<Value> {
        Some(Value::float(*self))
    }
}

impl Anonymous for Duration {
    /// Returns whole milliseconds.
    fn to_value(&self) -> Option<Value> {
        Some(Value::from(u64::try_from(self.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl<T: Anonymous> Anonymous for Option<T> {
    const BYTE: bool = T::BYTE;

    /// Returns null for `None`.
    fn to_value(&self) -> Option<Value> {
        self.as_ref().map_or_else(|| Some(Value::null()), Anonymous::to_value)
    }
}

impl<T: Anonymous> Anonymous for [T] {
    fn to_value(&self) -> Option<Value> {
        const {
            assert!(
                !T::BYTE,
                "a list of bytes may be text, so it cannot go into telemetry: \
                 use `#[telemetry(count)]`, or a list of wider numbers if numbers are what it holds"
            );
        }
        Some(Value::list(self.iter().map(Anonymous::to_value)))
    }
}

impl<T: Anonymous> Anonymous for Vec<T> {
    fn to_value(&self) -> Option<Value> {
        self.as_slice().to_value()
    }
}

impl<T: Anonymous, const N: usize> Anonymous for [T; N] {
    fn to_value(&self) -> Option<Value> {
        self.as_slice().to_value()
    }
}

impl<K: Anonymous, V: Anonymous> Anonymous for BTreeMap<K, V> {
    /// Returns an object, without the entries whose key is neither a name, a number nor a boolean.
    fn to_value(&self) -> Option<Value> {
        let entry = |(key, value): (&K, &V)| Some((key.to_value()?.into_key()?, value.to_value()?));
        Some(Value::entries(self.iter().filter_map(entry)))
    }
}

impl<T: Anonymous + ?Sized> Anonymous for &T {
    const BYTE: bool = T::BYTE;

    fn to_value(&self) -> Option<Value> {
        (**self).to_value()
    }
}

impl<T: Anonymous + ?Sized> Anonymous for Box<T> {
    const BYTE: bool = T::BYTE;

    fn to_value(&self) -> Option<Value> {
        (**self).to_value()
    }
}

impl Anonymous for Value {
    fn to_value(&self) -> Option<Value> {
        Some(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::Extension;

    fn json_of(value: &dyn Fn() -> Option<Value>) -> Json {
        value().map_or(json!("left out"), Value::into_json)
    }

    #[test]
    fn plain_values_leave_as_they_are() {
        let cases: [(&dyn Fn() -> Option<Value>, Json); 12] = [
            (&|| true.to_value(), json!(true)),
            (&|| 7_u8.to_value(), json!(7)),
            (&|| (-7_i8).to_value(), json!(-7)),
            (&|| u64::MAX.to_value(), json!(u64::MAX)),
            (&|| i64::MIN.to_value(), json!(i64::MIN)),
            (&|| usize::MIN.to_value(), json!(0)),
            (&|| 1.5_f32.to_value(), json!(1.5)),
            (&|| f64::NAN.to_value(), json!(null)),
            (&|| None::<u32>.to_value(), json!(null)),
            (&|| vec![Some(1_u32), None].to_value(), json!([1, null])),
            (&|| [true, false].to_value(), json!([true, false])),
            (&|| Duration::from_micros(1_500_900).to_value(), json!(1500)),
        ];
        for (value, expected) in cases {
            assert_eq!(json_of(value), expected);
        }
        assert_eq!(Duration::MAX.to_value(), Some(Value::from(u64::MAX)));
    }

    #[test]
    fn map_of_anonymous_keys_is_an_object() {
        let histogram =
            BTreeMap::from([(Extension::of("a.ipynb"), 3_u32), (Extension::of("b.py"), 1)]);
        assert_eq!(json_of(&|| histogram.to_value()), json!({"ipynb": 3, "py": 1}));

        let by_status = BTreeMap::from([(200_u16, 9_u32)]);
        assert_eq!(json_of(&|| by_status.to_value()), json!({"200": 9}));
    }

    #[test]
    fn entry_whose_key_cannot_be_one_is_left_out() {
        let pairs = BTreeMap::from([(vec![1_u16], 1_u32)]);
        assert_eq!(json_of(&|| pairs.to_value()), json!({}));
    }
}
