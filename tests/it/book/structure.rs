//! The book would build: every page is listed, every link leads somewhere, and what is not checked is known.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tidings_receiver::{Key, Verifier};
use tidings_tests::World;

use super::{Page, docs, pages, root};

/// Languages of blocks that are not commands: what is shown, printed, drawn or configured.
const SHOWN: [&str; 6] = ["text", "json", "toml", "ini", "ts", "markdown"];

/// Commands and programs in blocks that are not run, how many there are on a page, and why.
const NOT_RUN: &[(&str, &str, usize, &str)] = &[
    ("guides/add-an-event.md", "diff", 2, "applied by `guide`, which runs the example"),
    ("guides/add-an-event.md", "sh", 1, "run by `guide` on a copy of the example"),
    ("guides/receive-webhooks.md", "python", 1, "the file that `languages::signatures` runs"),
    ("guides/receive-webhooks.md", "js", 2, "the files that `languages::signatures` runs"),
    ("guides/telemetry-files.md", "duckdb", 1, "DuckDB is not among what tests install"),
    ("guides/telemetry-files.md", "python", 2, "Spark and pandas are not among what tests install"),
    ("guides/telemetry-sinks.md", "sh", 2, "asks PostHog, which is not here"),
    ("guides/telemetry-erasure.md", "sh", 1, "places that a reader has to look up"),
    (
        "guides/telemetry.md",
        "sh",
        17,
        "servers that run on, and places that a reader has to look up",
    ),
    ("operate/deploy.md", "sh", 1, "gives a role to a login that the reader has to choose"),
    ("start/first-event.md", "sh", 1, "installs the binary, which the test has"),
];

#[test]
fn every_block_is_checked_or_in_the_list_of_those_that_are_not() {
    let mut not_run = BTreeMap::<(String, String), usize>::new();
    for page in pages() {
        for block in &page.blocks {
            let language = block.language();
            let place = format!("docs/{}:{}", page.name, block.line);
            assert!(!language.is_empty(), "{place} has no language: rustdoc takes it for Rust");
            assert!(!block.has("ignore"), "{place} would not be compiled");
            if !matches!(language, "console" | "sql" | "rust") && !SHOWN.contains(&language) {
                *not_run.entry((page.name.clone(), language.to_owned())).or_default() += 1;
            }
        }
    }
    let known = NOT_RUN
        .iter()
        .map(|(page, language, count, _)| ((String::from(*page), String::from(*language)), *count));
    assert_eq!(not_run, known.collect());
}

#[test]
fn every_page_with_rust_is_compiled() {
    let source = fs::read_to_string(root().join("tests/src/book.rs")).unwrap();
    let compiled: BTreeSet<_> = source
        .split("docs/")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(page, _)| page.to_owned())
        .collect();
    let has_rust = |page: &Page| page.blocks.iter().any(|block| block.language() == "rust");
    let pages: BTreeSet<_> = pages().into_iter().filter(has_rust).map(|page| page.name).collect();
    assert_eq!(compiled, pages);
}

#[test]
fn summary_lists_every_page_once() {
    let summary = Page::read(&docs(), &docs().join("SUMMARY.md"));
    let mut listed = Vec::new();
    for line in &summary.prose {
        let entry = line.trim_start();
        assert!(
            line.is_empty()
                || line.starts_with("# ")
                || entry.starts_with("- [")
                || line.starts_with('['),
            "mdBook does not read {line:?}"
        );
        listed.extend(links(line));
    }
    let mut there: Vec<_> = pages().into_iter().map(|page| page.name).collect();
    there.retain(|name| name != "SUMMARY.md");
    listed.sort();
    assert_eq!(listed, there);
    let book: toml::Table = fs::read_to_string(docs().join("book.toml")).unwrap().parse().unwrap();
    assert_eq!(book["book"]["src"].as_str(), Some("."));
}

#[test]
fn every_link_leads_to_a_page_and_a_heading_of_it() {
    let pages = pages();
    let anchors: BTreeMap<_, _> =
        pages.iter().map(|page| (page.name.clone(), headings(page))).collect();
    let mut count = 0;
    for page in &pages {
        let text = page.prose.join("\n");
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (target, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match target {
                "" => page.name.clone(),
                target => resolve(&page.name, target),
            };
            let has = anchors.get(&target);
            let has = has.unwrap_or_else(|| panic!("docs/{} links to {link}: no page", page.name));
            assert!(
                anchor.is_empty() || has.contains(anchor),
                "docs/{}: {link}: no such heading",
                page.name
            );
            count += 1;
        }
    }
    assert!(count > 50, "links are found: {count}");
}

#[test]
fn every_included_passage_is_there() {
    let mut count = 0;
    for page in pages() {
        let blocks = page.blocks.iter().map(|block| block.text.as_str());
        let prose = page.prose.join("\n");
        for text in blocks.chain([prose.as_str()]) {
            for include in text.split("{{#include ").skip(1) {
                let include = include.split_once("}}").unwrap().0;
                let (file, anchor) = include.split_once(':').unwrap_or((include, ""));
                let path = docs().join(&page.name).parent().unwrap().join(file);
                let text = fs::read_to_string(&path)
                    .unwrap_or_else(|error| panic!("docs/{}: {file}: {error}", page.name));
                for mark in ["ANCHOR: ", "ANCHOR_END: "] {
                    let mark = format!("{mark}{anchor}");
                    let marks =
                        text.lines().filter(|line| line.trim_end_matches(" -->").ends_with(&mark));
                    assert!(anchor.is_empty() || marks.count() == 1, "{file} has one {mark}");
                }
                count += 1;
            }
        }
    }
    assert!(count > 3, "included passages are found: {count}");
}

/// Returns where the links of a text lead.
fn links(text: &str) -> Vec<String> {
    let ends = text.split("](").skip(1);
    ends.filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned()).collect()
}

/// Returns the path of a link below `docs/`.
fn resolve(page: &str, link: &str) -> String {
    let mut path = PathBuf::from(page).parent().unwrap().to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{link} on {page} leads out of the book"),
            part => path.push(part),
        }
    }
    path.to_str().unwrap().to_owned()
}

/// Returns the anchors of the headings of a page, as mdBook makes them.
fn headings(page: &Page) -> BTreeSet<String> {
    let titles = page.prose.iter().filter(|line| line.starts_with('#'));
    let titles = titles.map(|line| line.trim_start_matches('#').trim());
    titles
        .map(|title| {
            let kept = title.to_lowercase();
            let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn request_in_the_reference_verifies() {
    let page = Page::read(&docs(), &docs().join("reference/wire.md"));
    let prose = page.prose.join("\n");
    let secret =
        prose.split('`').find(|word| word.len() > 6 && word.starts_with("whsec_")).unwrap();
    let (head, body) = page.blocks[0].text.split_once("\n\n").unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = head.lines().skip(1).map(header).collect();
    let sent = headers["webhook-timestamp"].to_str().unwrap().parse().unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(sent);
    let verifier = Verifier::new([Key::parse(secret).unwrap()]).unwrap();
    verifier.verify(&headers, body.trim_end().as_bytes(), now).unwrap();
}

/// Reads every word in backticks of the lines of a page that begin with `| `.
fn listed(page: &str) -> BTreeSet<String> {
    let page = Page::read(&docs(), &docs().join(page));
    let rows = page.prose.iter().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split(" | ").next().unwrap());
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    words.map(str::to_owned).collect()
}

fn source(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test]
async fn events_of_our_own_are_those_of_the_database() {
    let world = World::new(&[]).await;
    let types =
        "select array_agg(type) from tidings.event_type where starts_with(type, 'tidings:')";
    let types: Vec<String> = world.value(types).await;
    assert_eq!(listed("reference/own-events.md"), types.into_iter().collect());
}

#[test]
fn filters_are_those_of_the_library() {
    let source = source("events/src/filter.rs");
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! "));
    let rows: Vec<_> = rows.filter(|row| row.starts_with('|')).collect();
    let page = Page::read(&docs(), &docs().join("reference/filters.md"));
    let shown: Vec<_> = page.prose.iter().filter(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 8 && rows == shown, "{shown:#?}");
}

#[test]
fn log_lines_and_counters_are_those_of_the_sources() {
    let worker = source("worker/src/telemetry.rs");
    let others = [
        "cli/src/telemetry.rs",
        "pipeline/src/telemetry.rs",
        "pipeline/src/telemetry/kafka.rs",
        "relay/src/telemetry.rs",
    ]
    .map(source);
    let sources = [worker.as_str(), &others.concat()].concat();
    let page = fs::read_to_string(docs().join("reference/telemetry.md")).unwrap();
    let lines = sources.split("tracing::").skip(1).filter_map(|call| {
        let (level, rest) = call.split_once("!(")?;
        let text = rest.split("\n}").next()?.split('"').nth_back(1)?;
        Some(format!("| {level} | {text} |"))
    });
    // Its words are the caller's.
    let lines: Vec<_> = lines.filter(|line| line != "| info | {what} |").collect();
    for line in &lines {
        assert!(page.contains(line), "{line}");
    }
    let shown =
        page.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 2);
    let shown = shown.filter(|line| !line.starts_with("| Level") && !line.contains("*what"));
    assert_eq!(shown.count(), lines.len());
    let counters = worker.lines().filter_map(|line| line.trim().strip_prefix("pub "));
    let counters = counters.filter_map(|field| field.strip_suffix(": AtomicU64,"));
    assert_eq!(listed("reference/telemetry.md"), counters.map(str::to_owned).collect());
}

#[test]
fn every_finding_of_the_doctor_is_in_the_runbook() {
    let codes: BTreeSet<_> =
        ["catalogue", "horizon", "lanes", "server", "subscribers", "tables", "workers"]
            .iter()
            .map(|name| source(&format!("events/src/doctor/{name}.rs")))
            .chain(
                ["endpoints", "telemetry"]
                    .map(|name| source(&format!("cli/src/commands/doctor/{name}.rs"))),
            )
            .flat_map(|source| {
                let words =
                    source.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
                words.into_iter().filter(|word| is_code(word))
            })
            .collect();
    let page = source("docs/operate/runbook.md");
    let table = page.split_once("## What the doctor finds").unwrap().1;
    for code in codes {
        assert!(table.contains(&format!("`{code}`")), "{code}");
    }
}

/// Says whether a word of the sources is the code of a finding: two or more words in small letters, and no index.
fn is_code(word: &str) -> bool {
    let is_index =
        ["subscription_", "event_", "delivery_"].iter().any(|table| word.starts_with(table));
    let mut parts = word.split('_');
    let named = parts.all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase()));
    named && word.contains('_') && !is_index
}

#[test]
fn every_guarantee_names_tests_that_exist() {
    let page = Page::read(&docs(), &docs().join("concepts/guarantees.md"));
    let rows: Vec<_> = page.prose.iter().filter(|line| line.ends_with("` |")).collect();
    let mut sources = String::new();
    for folder in ["tests/it", "worker/src"] {
        read_all(&root().join(folder), &mut sources);
    }
    for row in &rows {
        let test = row.rsplit('`').nth(1).unwrap();
        assert!(sources.contains(&format!("fn {test}()")), "{test}");
    }
    assert!(rows.len() > 12);
}

fn read_all(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
