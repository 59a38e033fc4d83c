//! What `catalogue` understands.

use std::path::PathBuf;

use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use tidings::catalogue::export::Format;

/// What `catalogue` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the event types that the database knows, with what a subscription to them may be limited to
    List(List),
    /// Show one event type, with the schema of its content and an example
    #[command(disable_version_flag = true)]
    Show(Named),
    /// Write the event types as a document: Markdown, JSON Schema, AsyncAPI 3.0 or TypeScript types
    ///
    /// The same types make the same document, so that it can be committed and compared.
    Export(Export),
    /// Compare the event types with a baseline, and fail if their consumers break
    ///
    /// Whatever the baseline holds has to be there still, and its schema must not allow anything that it did not allow
    /// before, new fields left aside.
    Check(Check),
    /// Refuse events of a type from now on; what was registered is still delivered
    ///
    /// The type stays retired, whatever applications declare, until it is restored.
    #[command(disable_version_flag = true)]
    Retire(Named),
    /// Accept events of a type that was retired
    #[command(disable_version_flag = true)]
    Restore(Named),
}

/// Which event types to list.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Those that subscribers can be told of: retired types and those for analytics only left out
    #[arg(long)]
    pub(crate) subscribable: bool,

    /// The types of Tidings itself as well, which tell of subscribers and deliveries
    #[arg(long)]
    pub(crate) all: bool,
}

/// Which event type.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// Its name, `order:placed` for example
    #[arg(value_name = "TYPE")]
    pub(crate) name: String,

    /// The version; the newest is shown, and all are retired or restored, where it is left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    pub(crate) version: Option<i16>,
}

/// What document to write, and where.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// What form the document has
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub(crate) format: Format,

    /// The file to write, over what is there; standard output where it is left out
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// What the document is called
    #[arg(long, value_name = "TEXT", default_value = "Events")]
    pub(crate) title: String,

    /// Tidings' own event types as well, those whose names begin with `tidings:`
    #[arg(long)]
    pub(crate) all: bool,
}

/// What to compare with.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The file that an earlier --update has written
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: PathBuf,

    /// Tell what is different, and write the file anew
    #[arg(long)]
    pub(crate) update: bool,
}

fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::as_str))
        .try_map(|word| word.parse::<Format>())
}
