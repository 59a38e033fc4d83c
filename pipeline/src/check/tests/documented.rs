//! The page of the reference says what the tables say.

use crate::check::{
    Coercion,
    flags::FLAGS_MAX,
    kinds,
    producers::DIGIT,
    shape::{Field, Kind, Shape, Type},
};

const PAGE: &str = include_str!("../../../../docs/reference/telemetry-events.md");

/// Returns the lines of a section.
fn section(title: &str) -> Vec<&'static str> {
    let lines = PAGE.lines().skip_while(|line| line.strip_prefix("## ") != Some(title)).skip(1);
    lines.take_while(|line| !line.starts_with("## ")).collect()
}

/// Returns what stands first in each row of the first table of a section.
fn words(title: &str) -> Vec<&'static str> {
    let rows = section(title).into_iter().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).collect()
}

fn rows(kinds: &[Kind]) -> Vec<String> {
    kinds.iter().map(|kind| format!("| `{}` | {} |", kind.eid, fields(&kind.edata))).collect()
}

fn fields(shape: &Shape) -> String {
    let field = |field: &Field| format!("{}{}", name(field), of_type(&field.is));
    let others = shape.open.then(|| "others".to_owned());
    shape.fields.iter().map(field).chain(others).collect::<Vec<_>>().join(", ")
}

fn name(field: &Field) -> String {
    format!("`{}`{}", field.name, if field.required { "\\*" } else { "" })
}

fn of_type(is: &Type) -> String {
    match is {
        Type::Text | Type::Filled | Type::OneOf(_) => String::new(),
        Type::Number => " number".to_owned(),
        Type::NumberFrom(least) => format!(" number ≥ {least}"),
        Type::Object => " object".to_owned(),
        Type::Record(shape) => format!(" {{{}}}", fields(shape)),
        Type::ListOf(item) => format!(
            " array of{}",
            match item {
                Type::Text => " texts".to_owned(),
                Type::Object => " objects".to_owned(),
                Type::Number => " numbers".to_owned(),
                other => of_type(other),
            }
        ),
    }
}

#[test]
fn kinds_stand_in_the_reference_as_they_are_checked() {
    for (title, kinds) in [("Kinds", &kinds::KINDS[..]), ("Kinds of DIGIT", &DIGIT)] {
        let written: Vec<_> =
            section(title).into_iter().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(written, rows(kinds), "{}", rows(kinds).join("\n"));
    }
}

#[test]
fn envelope_stands_in_the_reference_as_it_is_checked() {
    let row = |field: &Field| {
        let is = of_type(&field.is);
        format!("| {} | {} |", name(field), if is.is_empty() { "text" } else { is.trim_start() })
    };
    let rows: Vec<_> = kinds::LENIENT.fields.iter().map(row).collect();
    let lines = section("Envelope").into_iter();
    let written: Vec<_> = lines.filter(|line| line.starts_with("| `")).collect();
    assert_eq!(written, rows, "{}", rows.join("\n"));
}

#[test]
fn coercions_stand_in_the_reference() {
    assert_eq!(words("Coercions"), Coercion::ALL.map(Coercion::as_str));
    assert!(PAGE.contains(&format!("{FLAGS_MAX} of each")));
}
