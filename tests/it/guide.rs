//! The guide to adding an event, followed to the letter on a copy of the example.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tidings_tests::{Launch, Temporary, World};

/// The first build on a machine compiles whatever the example stands on.
const BUILT: Duration = Duration::from_mins(10);

/// One edit of a guide: a file, and what becomes of it.
struct Edit {
    file: String,
    hunks: Vec<Hunk>,
}

/// A passage of a file, before and after.
struct Hunk {
    before: String,
    after: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Reads the edits out of a guide: each is a block of the language `diff` below a line that names its file.
fn edits(guide: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut parts = guide.split("\n```");
    let mut prose = parts.next().unwrap();
    while let Some(block) = parts.next() {
        if let Some(diff) = block.strip_prefix("diff\n") {
            let file = prose.rsplit("In `").next().unwrap().split('`').next().unwrap().to_owned();
            edits.push(Edit { file, hunks: diff.split("\n@@\n").map(Hunk::read).collect() });
        }
        prose = parts.next().unwrap();
    }
    edits
}

impl Hunk {
    fn read(text: &str) -> Self {
        let side = |marks: [char; 2]| -> String {
            let lines = text.lines().filter(|line| line.starts_with(marks));
            lines.flat_map(|line| [&line[1..], "\n"]).collect()
        };
        Self { before: side([' ', '-']), after: side([' ', '+']) }
    }

    fn apply(&self, file: &str, text: &str) -> String {
        let found = text.matches(&self.before).count();
        assert_eq!(found, 1, "{file} has this passage {found} times:\n{}", self.before);
        text.replace(&self.before, &self.after)
    }
}

/// Copies the files below `from`.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Makes a workspace of a copy of the example alone, on the house as it is.
fn workspace(folder: &Path) {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut manifest: toml::Table = manifest.parse().unwrap();
    let workspace = manifest["workspace"].as_table_mut().unwrap();
    workspace.insert("members".into(), toml::Value::from(vec!["orchest"]));
    for (_, dependency) in workspace["dependencies"].as_table_mut().unwrap() {
        if let Some(path) = dependency.get_mut("path") {
            *path = root().join(path.as_str().unwrap()).to_str().unwrap().into();
        }
    }
    fs::write(folder.join("Cargo.toml"), toml::to_string(&manifest).unwrap()).unwrap();
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    copy(&root().join("examples/orchest"), &folder.join("orchest"));
}

/// Runs the example in `folder`, and returns what it prints.
async fn run(folder: &Path, url: &str) -> String {
    // target/<profile>/deps/<test>. Apart from what is built there: the example alone needs fewer features of other
    // crates, and each of the two builds would build anew what the other has built.
    let target = env::current_exe().unwrap().ancestors().nth(3).unwrap().join("guide");
    let process = Launch::new(env!("CARGO"))
        .args(["run", "--offline", "--quiet", "-p", "tidings-example-orchest"])
        .env("CARGO_TARGET_DIR", target)
        .env("SQLX_OFFLINE", "true")
        .env("DATABASE_URL", url)
        .folder(folder)
        .start();
    let (status, output) = process.exit(BUILT).await;
    assert!(status.success(), "{}", output.stderr.join("\n"));
    output.stdout.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn event_is_added_with_the_two_edits_of_the_guide() {
    let guide = fs::read_to_string(root().join("docs/guides/add-an-event.md")).unwrap();
    let edits = edits(&guide);
    let files: Vec<_> = edits.iter().map(|edit| edit.file.as_str()).collect();
    assert_eq!(files, ["src/event/project.rs", "src/life.rs"], "two edits, each of one file");

    let folder = Temporary::new("guide");
    workspace(folder.path());
    for edit in &edits {
        let path = folder.path().join("orchest").join(&edit.file);
        let text = fs::read_to_string(&path).unwrap();
        let text = edit.hunks.iter().fold(text, |text, hunk| hunk.apply(&edit.file, &text));
        fs::write(&path, text).unwrap();
    }

    let world = World::new(&[]).await;
    let printed = run(folder.path(), &world.database.url()).await;
    let line = printed.lines().find(|line| line.contains(" project:archived ")).unwrap();
    assert!(line.contains(" project="), "{line}");
    let declared: i64 = world
        .value("select count(*) from tidings.event_type where type = 'project:archived'")
        .await;
    let registered: (String, Option<String>) = sqlx::query_as(
        "select payload::text, telemetry::text from tidings.event where type = 'project:archived'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(declared, 1);
    assert!(registered.0.ends_with(r#","idle_days":90}"#), "{}", registered.0);
    assert!(registered.1.unwrap().contains(r#""idle_days_bucket":"30-364""#));
}

#[test]
fn edit_that_does_not_fit_is_found_out() {
    let guide = "In `a.rs`:\n\n```diff\n one\n-two\n+three\n@@\n+zero\n one\n```\n\nText.\n\n```sh\nls\n```\n";
    let edits = edits(guide);
    assert_eq!((edits.len(), edits[0].file.as_str()), (1, "a.rs"));
    let text =
        edits[0].hunks.iter().fold("one\ntwo\n".to_owned(), |text, hunk| hunk.apply("", &text));
    assert_eq!(text, "zero\none\nthree\n");
    let twice = std::panic::catch_unwind(|| edits[0].hunks[1].apply("a.rs", "one\none\n"));
    assert!(twice.is_err());
}
