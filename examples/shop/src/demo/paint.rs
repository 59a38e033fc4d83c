//! Numbers and colours for people.

use std::time::Duration;

/// Colours, where there is somebody to see them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    /// Whether they are shown.
    pub(crate) colours: bool,
}

impl Paint {
    /// Returns a title.
    pub(crate) fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    /// Returns what is beside the point.
    pub(crate) fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    /// Returns what is as it should be.
    pub(crate) fn good(self, text: &str) -> String {
        self.code("32", text)
    }

    /// Returns what is to be looked at.
    pub(crate) fn warning(self, text: &str) -> String {
        self.code("33", text)
    }

    /// Returns what is wrong.
    pub(crate) fn bad(self, text: &str) -> String {
        self.code("31", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        let shown = self.colours && !text.is_empty();
        if shown { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Returns a count with its thousands apart: `7,102`.
pub(crate) fn count(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or_default().to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// Returns a number of bytes: `43.2 kB`.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let tenths = bytes / 100;
    format!("{}.{} kB", count(tenths / 10), tenths % 10)
}

/// Returns a time in milliseconds, with as many digits as say something.
pub(crate) fn millis(us: u64) -> String {
    let tenths = us / 100;
    if tenths < 1_000 {
        format!("{}.{} ms", tenths / 10, tenths % 10)
    } else {
        format!("{} ms", count(us / 1_000))
    }
}

/// Returns a time in seconds: `12.3 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let cases = [(0_u64, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        for (number, expected) in cases {
            assert_eq!(count(number), expected);
        }
        assert_eq!(count(-1_i64), "0");
    }

    #[test]
    fn sizes_are_in_bytes_or_kilobytes() {
        let cases = [(0, "0 B"), (999, "999 B"), (43_250, "43.2 kB"), (1_234_567, "1,234.5 kB")];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn times_have_the_digits_that_say_something() {
        let cases =
            [(0, "0.0 ms"), (2_949, "2.9 ms"), (99_999, "99.9 ms"), (1_234_567, "1,234 ms")];
        for (us, expected) in cases {
            assert_eq!(millis(us), expected);
        }
        assert_eq!(seconds(Duration::from_millis(12_340)), "12.3 s");
    }
}
