//! The floors of the house: arrows between crates point down, and only the command line touches the world.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Each crate with its floor. Beside the house: tests, benches and examples, which may look into every floor.
const FLOORS: &[(&str, &str, u8)] = &[
    ("analytics", "tidings-analytics", 0),
    ("migrations", "tidings-migrations", 0),
    ("ownership", "tidings-ownership", 0),
    ("events/derive", "tidings-derive", 0),
    ("events", "tidings", 1),
    ("worker", "tidings-worker", 2),
    ("cli", "tidings-cli", 4),
];

const BESIDE: &[&str] = &["bench", "examples/shop", "tests"];

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

#[test]
fn arrows_point_down() {
    let floors: BTreeMap<&str, u8> =
        FLOORS.iter().map(|(_, package, floor)| (*package, *floor)).collect();
    for (folder, package, floor) in FLOORS {
        let manifest = manifest(folder);
        let Some(dependencies) = manifest.get("dependencies").and_then(toml::Value::as_table)
        else {
            continue;
        };
        for dependency in dependencies.keys() {
            assert!(!dependency.contains("tidings-tests"), "{package} depends on the tests");
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
fn only_the_command_line_reads_the_environment_prints_and_exits() {
    for (folder, package, _) in FLOORS.iter().filter(|(folder, _, _)| *folder != "cli") {
        for file in files(&root().join(folder).join("src"), &[".rs"]) {
            if file.components().any(|part| part.as_os_str() == "tests")
                || file.ends_with("tests.rs")
            {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let product = text.split("#[cfg(test)]").next().unwrap_or_default();
            for line in product.lines().filter(|line| !line.trim_start().starts_with("//")) {
                for word in ["env::var", "println!", "eprintln!", "process::exit"] {
                    assert!(!line.contains(word), "{package}: {} has {word}", file.display());
                }
            }
        }
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
