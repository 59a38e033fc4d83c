//! The cases of serde's `rename_all`.

use syn::LitStr;

/// How words are joined and capitalised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    const ALL: [(&str, Self); 8] = [
        ("lowercase", Self::Lower),
        ("UPPERCASE", Self::Upper),
        ("PascalCase", Self::Pascal),
        ("camelCase", Self::Camel),
        ("snake_case", Self::Snake),
        ("SCREAMING_SNAKE_CASE", Self::ScreamingSnake),
        ("kebab-case", Self::Kebab),
        ("SCREAMING-KEBAB-CASE", Self::ScreamingKebab),
    ];

    /// Reads the case as serde writes it.
    pub(crate) fn parse(literal: &LitStr) -> syn::Result<Self> {
        let text = literal.value();
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, case)| case).ok_or_else(
            || {
                let known = Self::ALL.map(|(name, _)| name).join(", ");
                syn::Error::new(
                    literal.span(),
                    format!("`{text}` is not a case; serde knows {known}"),
                )
            },
        )
    }

    /// Returns a field, which is in `snake_case`, in this case.
    pub(crate) fn of_field(self, field: &str) -> String {
        match self {
            Self::Lower | Self::Snake => field.to_owned(),
            Self::Upper | Self::ScreamingSnake => field.to_ascii_uppercase(),
            Self::Pascal => field.split('_').map(capitalized).collect(),
            Self::Camel => uncapitalized(&Self::Pascal.of_field(field)),
            Self::Kebab => field.replace('_', "-"),
            Self::ScreamingKebab => field.to_ascii_uppercase().replace('_', "-"),
        }
    }

    /// Returns a variant, which is in `PascalCase`, in this case.
    pub(crate) fn of_variant(self, variant: &str) -> String {
        match self {
            Self::Lower => variant.to_ascii_lowercase(),
            Self::Upper => variant.to_ascii_uppercase(),
            Self::Pascal => variant.to_owned(),
            Self::Camel => uncapitalized(variant),
            Self::Snake => snake(variant),
            Self::ScreamingSnake => snake(variant).to_ascii_uppercase(),
            Self::Kebab => snake(variant).replace('_', "-"),
            Self::ScreamingKebab => snake(variant).to_ascii_uppercase().replace('_', "-"),
        }
    }
}

fn snake(variant: &str) -> String {
    let mut snake = String::with_capacity(variant.len() + 4);
    for (at, character) in variant.char_indices() {
        if at > 0 && character.is_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

fn capitalized(word: &str) -> String {
    with_first(word, |first| first.to_ascii_uppercase())
}

fn uncapitalized(word: &str) -> String {
    with_first(word, |first| first.to_ascii_lowercase())
}

fn with_first(word: &str, change: impl Fn(char) -> char) -> String {
    let mut characters = word.chars();
    characters.next().map(change).into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_those_of_serde() {
        let cases = [
            (Case::Lower, "failed_steps", "outofmemory"),
            (Case::Upper, "FAILED_STEPS", "OUTOFMEMORY"),
            (Case::Pascal, "FailedSteps", "OutOfMemory"),
            (Case::Camel, "failedSteps", "outOfMemory"),
            (Case::Snake, "failed_steps", "out_of_memory"),
            (Case::ScreamingSnake, "FAILED_STEPS", "OUT_OF_MEMORY"),
            (Case::Kebab, "failed-steps", "out-of-memory"),
            (Case::ScreamingKebab, "FAILED-STEPS", "OUT-OF-MEMORY"),
        ];
        for (case, field, variant) in cases {
            assert_eq!(case.of_field("failed_steps"), field);
            assert_eq!(case.of_variant("OutOfMemory"), variant);
        }
    }
}
