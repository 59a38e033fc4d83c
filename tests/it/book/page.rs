//! A page of the book, as far as it is checked.

use std::{fs, path::Path};

/// A page: its prose, and its blocks.
#[derive(Debug)]
pub(super) struct Page {
    /// Its path below `docs/`.
    pub(super) name: String,
    /// Everything outside blocks, line by line.
    pub(super) prose: Vec<String>,
    pub(super) blocks: Vec<Block>,
}

/// A fenced block.
#[derive(Debug, PartialEq)]
pub(super) struct Block {
    /// Its language, and what else is said of it: `console,background`.
    pub(super) tags: Vec<String>,
    pub(super) text: String,
    /// Where it begins.
    pub(super) line: usize,
    /// The file that it is, if the line above says so.
    pub(super) file: Option<String>,
}

impl Page {
    pub(super) fn read(docs: &Path, path: &Path) -> Self {
        let name = path.strip_prefix(docs).unwrap().to_str().unwrap().to_owned();
        Self::parse(name, &fs::read_to_string(path).unwrap())
    }

    fn parse(name: String, text: &str) -> Self {
        let (mut prose, mut blocks) = (Vec::<String>::new(), Vec::new());
        let mut open: Option<Block> = None;
        for (number, line) in (1..).zip(text.lines()) {
            match (&mut open, line.trim_start().strip_prefix("```")) {
                (None, Some(tags)) => {
                    let above = prose.iter().rev().find(|line| !line.is_empty());
                    open = Some(Block {
                        tags: tags.split(',').map(str::to_owned).collect(),
                        text: String::new(),
                        line: number,
                        file: above.and_then(|line| named_file(line)),
                    });
                }
                (None, None) => prose.push(line.to_owned()),
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => block.text.extend([line, "\n"]),
            }
        }
        assert!(open.is_none(), "{name} has a block without an end");
        Self { name, prose, blocks }
    }

    /// Says whether anything on the page is run.
    pub(super) fn is_run(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block.language(), "console" | "sql"))
    }
}

impl Block {
    pub(super) fn language(&self) -> &str {
        &self.tags[0]
    }

    pub(super) fn has(&self, tag: &str) -> bool {
        self.tags.iter().any(|has| has == tag)
    }
}

/// Reads the file out of a line that ends in ``In `src/main.rs`:``.
fn named_file(line: &str) -> Option<String> {
    let (_, file) = line.strip_suffix("`:")?.rsplit_once("In `")?;
    Some(file.to_owned())
}

#[test]
fn page_is_read_into_prose_and_blocks() {
    let text = "# A\n\nText. In `src/a.rs`:\n\n```rust,no_run\nfn a() {}\n```\n\nMore.\n\n```console\n$ b\n```\n";
    let page = Page::parse("a.md".into(), text);
    assert_eq!(page.prose.concat(), "# AText. In `src/a.rs`:More.");
    let blocks: Vec<_> = page.blocks.iter().map(|block| (block.line, block.language())).collect();
    assert_eq!(blocks, [(5, "rust"), (11, "console")]);
    assert_eq!(page.blocks[0].file.as_deref(), Some("src/a.rs"));
    assert!(page.blocks[0].has("no_run") && page.blocks[1].file.is_none() && page.is_run());
}
