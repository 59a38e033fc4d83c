#![doc = include_str!("../README.md")]

mod anonymous;
mod case;
mod diff;
mod event;
mod fields;
mod layer;
mod report;
mod telemetry;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `tidings::event::Event` for a struct with named fields.
///
/// The struct derives `Serialize` and `JsonSchema` as well; attributes of serde that rename or skip a field are
/// honoured, and those that would change the shape (`flatten`, `tag`, `transparent`, `into`) are refused.
/// It may have lifetimes and no type parameters.
/// Its doc comment becomes the documentation of the type.
///
/// # On the struct: `#[event(..)]`
///
/// | Attribute | Meaning |
/// |---|---|
/// | `name = "project:job:failed"` | the name, checked at compile time; required |
/// | `version = 1` | the version of the schema, from 1; required |
/// | `layers(Project, Job)` | which fields are layers, by their types, from the outermost to the innermost |
/// | `scope(project, job)` | which fields make the scope: layers, under their name, or values that implement `Display`, under the name of the field |
/// | `level = "basic"` | the lowest level at which telemetry is collected: `security`, `basic` (the default), `enhanced`, `full` |
/// | `call = "track"` | what the event is to analytics: `track` (the default), `identify`, `group`, `page`, `screen`, `alias` |
/// | `audience(notification, telemetry, client)` | who may see it; without it `notification`, and `telemetry` if a field is marked for it |
/// | `ordering_key = order` | the field within whose value order is kept: a layer, a value that implements `Display`, or an `Option` of one |
/// | `reserved` | allows a name that begins with `tidings:`; for Tidings' own events, which no catalogue of an application takes |
///
/// # On a field: `#[telemetry]`
///
/// What is not marked never leaves.
/// A field may have several marks.
///
/// | Attribute | What is told | Where |
/// |---|---|---|
/// | `#[telemetry]` | the value, whose type is anonymous | `event_properties.<field>` |
/// | `#[telemetry(with = function)]` | `function(&field)`, whose type is anonymous | `event_properties.<field>` |
/// | `#[telemetry(derived = "name", with = function)]` | `function(&field)`, whose type is anonymous | `derived_properties.name` |
/// | `#[telemetry(count)]` | how many there are | `derived_properties.<field>_count` |
/// | `#[telemetry(bucket)]`, `#[telemetry(bucket(10, 100))]` | the power of ten, or the range between bounds | `derived_properties.<field>_bucket` |
/// | `#[telemetry(hashed)]` | a keyed hash of the value as displayed | `derived_properties.<field>_hashed` |
/// | `#[telemetry(extension)]` | the extension of a file name | `derived_properties.<field>_extension` |
///
/// The field of an `Option` is null where there is none.
/// What a layer tells stands under the layer's path in both trees.
#[proc_macro_derive(Event, attributes(event, telemetry))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    event::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `tidings::layer::Layer` for a struct with named fields.
///
/// The struct derives `Serialize` and `JsonSchema` as well, and has neither lifetimes nor type parameters.
///
/// # On the struct: `#[layer(..)]`
///
/// | Attribute | Meaning |
/// |---|---|
/// | `name = "project"` | the name in both views and in scopes; required |
/// | `id = uuid` | the field whose value, as displayed, is the layer's value in a scope |
///
/// # On a field: `#[telemetry]`
///
/// As for [`derive@Event`].
///
/// # On a field: `#[serde(flatten)]`
///
/// The field is a layer itself, of which this one is a special case.
/// Its fields stand beside those of this one, and so does what it tells to analytics; its name is not used.
/// It can be the `id`, if it has one.
#[proc_macro_derive(Layer, attributes(layer, telemetry))]
pub fn derive_layer(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    layer::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `tidings::event::Anonymous` for an enum or a struct whose fields are all anonymous.
///
/// A variant without fields is its name, one with fields is an object of one member under its name.
/// A struct is an object, a list if its fields have no names, and its field if it has one without a name.
/// Names are those that serde writes where `#[serde(rename = ..)]` or `#[serde(rename_all = ..)]` says so; otherwise
/// variants are in `snake_case`.
/// A field that serde skips is left out.
#[proc_macro_derive(Anonymous, attributes(serde))]
pub fn derive_anonymous(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    anonymous::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `tidings::change::Diff` for a struct with named fields.
///
/// Every field says what is told of it when it changes, so that a new one cannot be told by mistake.
///
/// # On a field: `#[diff(..)]`
///
/// | Attribute | What is told | What the field implements |
/// |---|---|---|
/// | `#[diff(value)]` | both values | `PartialEq`, `Serialize` |
/// | `#[diff(sensitive)]` | that it has changed | `PartialEq` |
/// | `#[diff(entries)]` | how many entries were created, updated and deleted, with neither keys nor values | a reference to it iterates over pairs, as that of a map does |
/// | `#[diff(skip)]` | nothing | |
///
/// `object = "environment_variable"` beside one of them is the name in the list; without it, that of the field.
#[proc_macro_derive(Diff, attributes(diff))]
pub fn derive_diff(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    diff::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `tidings::analytics::report::Statistics` for a struct with named fields: what a report counts.
///
/// Every field is a counter, a number that only grows, under its name: unsigned integers, atomics of them, and
/// `Counter`.
/// A report tells what was added since the one before.
///
/// # On a field: `#[report(..)]`
///
/// | Attribute | Meaning |
/// |---|---|
/// | `name = "orders"` | the name in the report: 1 to 64 of a-z, 0-9 and underscore |
/// | `skip` | it is not told |
#[proc_macro_derive(Statistics, attributes(report))]
pub fn derive_statistics(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let expanded = report::expand(&input, report::Part::Statistics);
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `tidings::analytics::report::Traits` for a struct with named fields: what there is when a report is made.
///
/// Every field is anonymous by its type, and told under its name.
///
/// # On a field: `#[report(..)]`
///
/// As for [`derive@Statistics`].
#[proc_macro_derive(Traits, attributes(report))]
pub fn derive_traits(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let expanded = report::expand(&input, report::Part::Traits);
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
