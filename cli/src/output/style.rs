//! Colours, where there is somebody to see them.

/// What a text stands out by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Tone {
    /// Not at all.
    #[default]
    Plain,
    /// A title.
    Bold,
    /// Beside the point.
    Dim,
    /// As it should be.
    Good,
    /// To be looked at.
    Warning,
    /// Wrong.
    Bad,
}

/// Whether colours are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// Whether they are.
    pub(crate) colours: bool,
}

impl Style {
    /// Returns `text` in this tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Bold => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
            Tone::Plain => return text.to_owned(),
        };
        if self.colours && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// Returns `text` in red.
    pub(crate) fn red(self, text: &str) -> String {
        self.paint(Tone::Bad, text)
    }

    /// Returns `text` in the background.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint(Tone::Dim, text)
    }
}
