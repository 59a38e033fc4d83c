//! The client by itself: its bytes, its own tests, its package, and what it checks of a catalogue.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;
use tidings::catalogue::export::Format;
use tidings_tests::Temporary;

use super::npm::{npm, package, root, tests};

#[test]
fn script_that_the_relay_serves_is_what_the_sources_build_to() {
    let served = fs::read(root().join("relay/assets/tidings.js")).unwrap();
    let same = served == package().script;
    assert!(same, "relay/assets/tidings.js is not what web/ builds to; run `make web`");
}

#[test]
fn client_passes_its_own_tests() {
    for folder in ["unit", "browser"] {
        tests(package(), folder, &[]);
    }
}

#[test]
fn package_has_what_an_application_needs_and_no_more() {
    let folder = &package().folder;
    // Built already; building it again would pull it away under other tests.
    let said = npm(folder, &["pack", "--dry-run", "--json", "--ignore-scripts"]);
    let packed: Value = serde_json::from_str(&said).unwrap();
    let files = packed[0]["files"].as_array().unwrap();
    let mut names: Vec<_> = files.iter().map(|file| file["path"].as_str().unwrap()).collect();
    names.retain(|name| !name.starts_with("dist/types/"));
    names.sort_unstable();
    let expected = [
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "dist/tidings.js",
        "dist/tidings.mjs",
        "package.json",
    ];
    assert_eq!(names, expected);
    for license in &expected[..2] {
        let [ours, its] = [root(), folder.clone()].map(|place| fs::read(place.join(license)));
        assert_eq!(ours.unwrap(), its.unwrap(), "{license}");
    }
    let types = files.iter().filter_map(|file| file["path"].as_str()?.strip_prefix("dist/types/"));
    let types: Vec<_> = types.collect();
    assert!(types.contains(&"index.d.ts"), "{types:?}");
    assert!(types.iter().all(|name| name.ends_with(".d.ts")), "{types:?}");
}

/// Calls of an application, and behind `@ts-expect-error` those that are none.
const CALLS: &str = r#"
import type { ClientEvents } from "./events";
import { Tidings } from "tidings-web";

const tidings = new Tidings<ClientEvents>({ channel: "orchest" });
tidings.track("view:loaded", { name: "job-run" });
tidings.track("alert:shown", { dialog: "leave" });
// @ts-expect-error: no such view
tidings.track("view:loaded", { name: "canary" });
// @ts-expect-error: a view has a name
tidings.track("view:loaded");
// @ts-expect-error: not what a view has
tidings.track("view:loaded", { name: "job-run", title: "canary" });
// @ts-expect-error: servers alone send it
tidings.track("heartbeat:triggered", { active: true });
// @ts-expect-error: no such type
tidings.track("view:left");
tidings.interact({ type: "TOUCH", id: "next" });
"#;

/// An application without its own copy of the package.
const CONFIGURATION: &str = r#"{
  "compilerOptions": {
    "strict": true, "noEmit": true, "target": "es2022", "module": "es2022", "moduleResolution": "bundler",
    "lib": ["es2022", "dom"], "types": [], "exactOptionalPropertyTypes": true, "skipLibCheck": false
  },
  "files": ["program.ts"]
}"#;

#[test]
fn calls_of_an_application_are_checked_against_its_exported_catalogue() {
    let package = package();
    let folder = Temporary::new("application");
    let modules = folder.path().join("node_modules/tidings-web");
    fs::create_dir_all(modules.join("dist")).unwrap();
    let mut copied = Command::new("cp");
    let copied = copied.arg("-R").arg(package.folder.join("dist/types")).arg(modules.join("dist"));
    assert!(copied.status().unwrap().success());
    fs::copy(package.folder.join("package.json"), modules.join("package.json")).unwrap();
    let catalogue = tidings_example_orchest::event::catalogue().unwrap();
    let events = catalogue.export(Format::TypeScript, "Orchest");
    for (name, text) in
        [("events.ts", events.as_str()), ("program.ts", CALLS), ("tsconfig.json", CONFIGURATION)]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut tsc = Command::new(package.folder.join("node_modules/.bin/tsc"));
    let output =
        tsc.args(["--pretty", "false"]).current_dir(folder.path()).stdin(Stdio::null()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
