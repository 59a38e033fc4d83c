//! The floors of the house: arrows between crates point down, and only the command line touches the world.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each crate with its floor. Beside the house: tests, benches and examples, which may look into every floor.
const FLOORS: &[(&str, &str, u8)] = &[
    ("analytics", "tidings-analytics", 0),
    ("migrations", "tidings-migrations", 0),
    ("ownership", "tidings-ownership", 0),
    ("receiver", "tidings-receiver", 0),
    ("events/derive", "tidings-derive", 0),
    ("events", "tidings", 1),
    ("pipeline", "tidings-pipeline", 2),
    ("worker", "tidings-worker", 2),
    ("relay", "tidings-relay", 3),
    ("cli", "tidings-cli", 4),
];

const BESIDE: &[&str] = &["bench", "examples/orchest", "examples/shop", "tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn manifest(folder: &str) -> toml::Table {
    fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap().parse().unwrap()
}

/// Every file below `folder` with one of these endings.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                found.extend(files(&path, endings));
            }
        } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_crate_has_its_place() {
    let workspace: toml::Table =
        fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let mut members: Vec<&str> = workspace["workspace"]["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member.as_str().unwrap())
        .collect();
    members.sort_unstable();
    let mut placed: Vec<&str> =
        FLOORS.iter().map(|(folder, _, _)| *folder).chain(BESIDE.iter().copied()).collect();
    placed.sort_unstable();
    assert_eq!(members, placed);
    for (folder, package, _) in FLOORS {
        assert_eq!(manifest(folder)["package"]["name"].as_str(), Some(*package), "{folder}");
    }
}

/// The packages that a manifest builds upon, on any target; tests of a crate may look into every floor.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let of_targets = targets.into_iter().flat_map(|targets| targets.values());
    let places = of_targets.filter_map(toml::Value::as_table).chain([manifest]);
    places
        .flat_map(|place| ["dependencies", "build-dependencies"].map(|kind| place.get(kind)))
        .flatten()
        .filter_map(toml::Value::as_table)
        .flatten()
        .map(|(name, dependency)| {
            // What a crate calls it, unless it has renamed it.
            let package = dependency.get("package").and_then(toml::Value::as_str);
            package.unwrap_or(name).to_owned()
        })
        .collect()
}

#[test]
fn arrows_point_down() {
    let floors: BTreeMap<&str, u8> =
        FLOORS.iter().map(|(_, package, floor)| (*package, *floor)).collect();
    let beside: Vec<String> = BESIDE
        .iter()
        .map(|folder| manifest(folder)["package"]["name"].as_str().unwrap().to_owned())
        .collect();
    for (folder, package, floor) in FLOORS {
        for dependency in dependencies(&manifest(folder)) {
            assert!(!beside.contains(&dependency), "{package} depends on {dependency}");
            if let Some(below) = floors.get(dependency.as_str()) {
                assert!(
                    below < floor,
                    "{package} (floor {floor}) depends on {dependency} (floor {below})"
                );
            }
        }
    }
}

#[test]
fn dependencies_of_builds_and_targets_count() {
    let manifest: toml::Table = r#"
        [dependencies]
        plain.workspace = true
        short = { package = "renamed", version = "1" }
        [build-dependencies]
        build = "1"
        [dev-dependencies]
        dev = "1"
        [target.'cfg(unix)'.dependencies]
        unix = "1"
        [target.wasm32-unknown-unknown.build-dependencies]
        wasm = "1"
    "#
    .parse()
    .unwrap();
    let mut found = dependencies(&manifest);
    found.sort();
    assert_eq!(found, ["build", "plain", "renamed", "unix", "wasm"]);
}

/// How code prints and exits. `print!` ends `eprint!` as well, and `println!` ends `eprintln!`.
const TALKING: &[&str] =
    &["print!", "println!", "dbg!", "io::stdout", "io::stderr", "process::exit", "process::abort"];

/// How code reads variables, arguments and folders of the process.
const READING: &str = "env::";

/// The first of `words` in the lines of code, comments and the tests at the end of the file left out.
fn first_of<'a>(words: &[&'a str], text: &str) -> Option<&'a str> {
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = product.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    code.flat_map(|line| words.iter().filter(|word| line.contains(**word))).next().copied()
}

#[test]
fn only_the_command_line_reads_the_environment_prints_and_exits() {
    // The checkout itself may lie in a folder of any name.
    let lies_in = |file: &Path, folder: &str, name: &str| {
        let inside = file.strip_prefix(root().join(folder)).unwrap();
        inside.components().any(|part| part.as_os_str() == name)
    };
    for (folder, package, _) in FLOORS.iter().filter(|(folder, _, _)| *folder != "cli") {
        let words = [TALKING, &[READING]].concat();
        let files = files(&root().join(folder).join("src"), &[".rs"]);
        for file in files {
            if file.ends_with("tests.rs") || lies_in(&file, folder, "tests") {
                continue;
            }
            let found = first_of(&words, &fs::read_to_string(&file).unwrap());
            assert_eq!(found, None, "{package}: {}", file.display());
        }
    }
    // Of the crates beside the house, programs may; the harness looks for servers, but says nothing by itself.
    for file in files(&root().join("tests/src"), &[".rs"]) {
        if !lies_in(&file, "tests/src", "bin") {
            let found = first_of(TALKING, &fs::read_to_string(&file).unwrap());
            assert_eq!(found, None, "{}", file.display());
        }
    }
}

#[test]
fn code_that_touches_the_world_is_recognised() {
    let words = [TALKING, &[READING]].concat();
    for (code, expected) in [
        ("eprint!(\"x\");", Some("print!")),
        ("    eprintln!();", Some("println!")),
        ("let home = std::env::var_os(\"HOME\");", Some(READING)),
        ("use std::env::{args, vars};", Some(READING)),
        ("std::process::exit(1)", Some("process::exit")),
        ("io::stdout().write_all(b\"x\")", Some("io::stdout")),
        ("/// println!(\"an example\");\nfn f() {}", None),
        ("let id = std::process::id(); env!(\"CARGO_PKG_VERSION\")", None),
        ("#[cfg(test)]\nmod tests {\n    println!();\n}", None),
        ("#[cfg(test)]\nuse x;\nfn f() { println!() }", Some("println!")),
    ] {
        assert_eq!(first_of(&words, code), expected, "{code}");
    }
}

#[test]
fn every_query_is_used_and_says_whose_it_is() {
    for (folder, package, _) in FLOORS {
        let source = root().join(folder).join("src");
        let code: String =
            files(&source, &[".rs"]).iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        for query in files(&source, &[".sql"]) {
            let name = query.file_stem().unwrap().to_string_lossy().into_owned();
            assert!(
                code.contains(&format!("queries/{name}.sql")),
                "{package}: nothing uses {name}.sql"
            );
            let text = fs::read_to_string(&query).unwrap();
            assert!(
                text.starts_with(&format!("-- {name}: ")),
                "{package}: the first line of {name}.sql names it"
            );
        }
    }
}

#[test]
fn files_stay_short() {
    for (folder, package, _) in FLOORS {
        for file in files(&root().join(folder).join("src"), &[".rs"]) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= 600, "{package}: {} has {lines} lines", file.display());
        }
    }
}

#[test]
fn migrations_are_numbered_without_gaps_and_explain_themselves() {
    let mut names = files(&root().join("migrations/migrations"), &[".sql"]);
    names.sort();
    for (place, path) in names.iter().enumerate() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.starts_with(&format!("{:04}_", place + 1)), "{name} is out of order");
        let text = fs::read_to_string(path).unwrap();
        assert!(text.starts_with("-- "), "{name} begins with its reason");
    }
}

#[test]
fn every_error_that_registering_raises_is_in_the_readme() {
    let sql = fs::read_to_string(root().join("migrations/migrations/0005_register.sql")).unwrap();
    let readme = fs::read_to_string(root().join("events/README.md")).unwrap();
    let codes: BTreeSet<&str> = sql.split("errcode = '").skip(1).map(|rest| &rest[..5]).collect();
    assert!(codes.len() > 12, "{codes:?}");
    // A status that is in no list, and what is caught where it was raised: callers see neither.
    for code in codes.iter().filter(|code| !["TD000", "TD021"].contains(*code)) {
        assert!(readme.contains(&format!("| {code} |")), "{code}");
    }
}

#[test]
fn locks_name_no_registry() {
    // An address in a lock binds everybody to the registry of whoever wrote it.
    for lock in ["examples/sql/node", "tests/clients", "tests/languages/node", "web"] {
        let lock = root().join(lock).join("package-lock.json");
        let text = fs::read_to_string(&lock).unwrap();
        let packages: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (name, package) in packages["packages"].as_object().unwrap() {
            assert!(package.get("resolved").is_none(), "{}: {name}", lock.display());
            assert!(
                name.is_empty() || package.get("integrity").is_some(),
                "{}: {name}",
                lock.display()
            );
        }
        assert!(!text.contains("://"), "{}", lock.display());
    }
}
