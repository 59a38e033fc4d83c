//! `tidings man`.
//!
//! Pages are made from the definition of the command line, so that there is none without a command and none missing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{
    arguments::{self, paper::Man},
    context::Context,
    environment::VARIABLES,
    exit::Exit,
    failure::Coded,
};

/// One page.
#[derive(Debug, Serialize)]
struct Page {
    /// The name of its file, `tidings-subscriber-add.1` for example.
    name: String,
    /// What `man` reads.
    page: String,
}

#[derive(Debug, Serialize)]
struct Written {
    files: Vec<PathBuf>,
}

/// Prints one page, or writes all of them into a folder.
pub(crate) fn run(context: &Context, which: &Man) -> Result<()> {
    let root = built();
    if let Some(folder) = &which.output {
        let written = Written { files: write(folder, &pages(&root)?)? };
        let said = format!("{} pages written to {}", written.files.len(), folder.display());
        return context.output.done(&written, &said);
    }
    let page = page(find(&root, &which.command)?)?;
    context.output.text(&page, &page.page)
}

/// Returns the command line with the names that its parts have in pages.
fn built() -> clap::Command {
    let mut root = arguments::written();
    root.build();
    root
}

fn find<'a>(root: &'a clap::Command, words: &[String]) -> Result<&'a clap::Command> {
    let mut command = root;
    for word in words.iter().flat_map(|word| word.split_whitespace()) {
        command = command.find_subcommand(word).ok_or_else(|| {
            let known: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
            let within = command.get_bin_name().unwrap_or_default();
            let hint = match known.as_slice() {
                [] => format!("`{within}` has no commands of its own"),
                known => format!("`{within}` has {}", known.join(", ")),
            };
            Coded::new(Exit::NotFound, format!("there is no command `{within} {word}`")).hint(hint)
        })?;
    }
    Ok(command)
}

/// Returns the page of a command and those of all below it.
fn pages(command: &clap::Command) -> Result<Vec<Page>> {
    let mut found = vec![page(command)?];
    for subcommand in command.get_subcommands() {
        found.extend(pages(subcommand)?);
    }
    Ok(found)
}

fn page(command: &clap::Command) -> Result<Page> {
    let man = clap_mangen::Man::new(command.clone()).manual("Tidings");
    let mut page = Vec::new();
    man.render(&mut page).context("write a page")?;
    let mut page = String::from_utf8(page).context("write a page")?;
    let is_root = command.get_bin_name() == Some(command.get_name());
    if is_root {
        page += &list("ENVIRONMENT", VARIABLES.into_iter());
    }
    let codes: Vec<_> =
        Exit::meanings().map(|(code, meaning)| (code.to_string(), meaning)).collect();
    page += &list("EXIT STATUS", codes.iter().map(|(code, meaning)| (code.as_str(), *meaning)));
    Ok(Page { name: man.get_filename(), page: ascii(&page) })
}

/// Returns a page that every formatter can read: what lies beyond ASCII is written by its number.
fn ascii(page: &str) -> String {
    let written = |c: char| match c {
        c if c.is_ascii() => c.to_string(),
        c => format!("\\[u{:04X}]", u32::from(c)),
    };
    page.chars().map(written).collect()
}

/// Returns a section of terms with their meanings.
fn list<'a>(title: &str, items: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let item = |(term, meaning)| format!(".TP\n\\fB{}\\fR\n{}\n", escaped(term), escaped(meaning));
    format!(".SH \"{title}\"\n{}", items.map(item).collect::<String>())
}

/// Returns a text in which nothing is taken for a command: neither a backslash, nor a dot or quote that begins it.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

fn write(folder: &Path, pages: &[Page]) -> Result<Vec<PathBuf>> {
    let doing = || format!("write the pages into {}", folder.display());
    fs::create_dir_all(folder).with_context(doing)?;
    let write = |page: &Page| -> Result<PathBuf> {
        let path = folder.join(&page.name);
        fs::write(&path, &page.page).with_context(doing)?;
        Ok(path)
    };
    pages.iter().map(write).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_under_its_own_name() {
        fn count(command: &clap::Command) -> usize {
            1 + command.get_subcommands().map(count).sum::<usize>()
        }
        let root = built();
        let mut names: Vec<_> = pages(&root).unwrap().into_iter().map(|page| page.name).collect();
        assert_eq!(names.len(), count(&root));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count(&root), "{names:?}");
        assert!(names.contains(&"tidings.1".to_owned()), "{names:?}");
        assert!(names.contains(&"tidings-subscriber-add.1".to_owned()), "{names:?}");
    }

    #[test]
    fn pages_do_not_depend_on_the_variables_of_the_process() {
        let page = page(&built()).unwrap().page;
        assert!(page.contains("DATABASE_URL") && page.contains("TIDINGS_KEY"), "{page}");
    }

    #[test]
    fn text_is_never_taken_for_a_command() {
        assert_eq!(escaped(".TH x"), "\\&.TH x");
        assert_eq!(escaped("'br"), "\\&'br");
        assert_eq!(escaped("a\\b-c"), "a\\eb\\-c");
        assert_eq!(ascii("a…b"), "a\\[u2026]b");
    }
}
