//! The book is true: its examples are run as they stand, what it lists exists, and its links lead somewhere.
//!
//! * A `console` block is run in a shell of its page: what stands behind `$ ` is typed, and what follows is what it
//!   prints, where `…` stands for anything. `console,background` goes on running until the page ends, and
//!   `console,appears` is what one of those prints later. A command may fail only where an error is shown.
//! * A `sql` block is run with psql, and has to succeed.
//! * A block below a line that ends in ``In `file`:`` is written to that file.
//! * A `rust` block is compiled with the documentation of this package (`src/book.rs`).
//! * Everything else is shown and not run, and [`structure`] has the list of it with the reasons.

mod console;
mod page;
mod reference;
mod session;
mod structure;
mod tutorial;

use std::{
    fs,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
};

use futures_util::{FutureExt as _, StreamExt as _, stream};

use self::{page::Page, session::Session};

/// The page that starts on an empty folder, with a test of its own because it compiles a program.
const TUTORIAL: &str = "start/first-event.md";

/// How many pages are run at once: each has a worker.
const AT_ONCE: usize = 4;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn docs() -> PathBuf {
    root().join("docs")
}

/// Returns every page of the book, by its path below `docs/`, `SUMMARY.md` included.
fn pages() -> Vec<Page> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(&docs(), &mut found);
    found.sort();
    found.iter().map(|path| Page::read(&docs(), path)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn shell_examples_print_what_the_pages_show() {
    let pages = pages().into_iter().filter(|page| page.name != TUTORIAL && page.is_run());
    // One that is wrong does not end the others, so that all of them are told.
    let tasks = pages.map(|page| {
        let name = page.name.clone();
        async move { (name, AssertUnwindSafe(follow(page)).catch_unwind().await) }
    });
    let ended: Vec<_> = stream::iter(tasks).buffer_unordered(AT_ONCE).collect().await;
    let wrong = ended.iter().filter(|(_, ended)| ended.is_err());
    let wrong: Vec<_> = wrong.map(|(name, _)| name).collect();
    assert!(wrong.is_empty(), "{wrong:?} are wrong, as is said above");
    assert!(ended.len() > 8, "the examples are found: {ended:?}");
}

/// Follows a page: with a worker behind it, except where the page begins with nothing.
async fn follow(page: Page) {
    let session = if page.name.starts_with("start/") {
        Session::empty().await
    } else {
        Session::with_worker().await
    };
    session.run(&page).await;
}
