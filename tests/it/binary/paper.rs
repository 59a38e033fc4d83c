//! What the command line says about itself to shells and to `man`.

use std::{
    fs,
    process::{Command, Output},
};

use tidings_tests::Temporary;

use super::{run, tidings};

/// The requests and macros that a page may use.
const MACROS: [&str; 11] =
    [".TH", ".SH", ".TP", ".PP", ".RS", ".RE", ".IP", ".br", ".ie", ".el", ".\\\""];

/// Runs a program that every machine with tests has, and returns what it said.
fn said(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

#[tokio::test]
async fn bash_completes_commands_and_flags() {
    let ran = run(&tidings().args(["completions", "bash"])).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let folder = Temporary::new("completions");
    let script = folder.path().join("tidings.bash");
    fs::write(&script, &ran.stdout).unwrap();
    let complete = |words: &str, last: usize| {
        let path = script.display();
        let ask = format!(
            ". {path}; COMP_WORDS=({words}); COMP_CWORD={last}; \
             _tidings tidings \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{last}-1]}}\"; echo ${{COMPREPLY[@]}}"
        );
        let output = said("bash", &["--norc", "-c", &ask]);
        assert!(output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    assert_eq!(complete("tidings subscri", 1), "subscriber subscription");
    assert_eq!(complete("tidings subscriber rem", 2), "remove");
    assert_eq!(complete("tidings worker --attempt-l", 2), "--attempt-log");
    assert_eq!(complete("tidings worker --attempt-log f", 3), "failures");
}

#[tokio::test]
async fn every_shell_is_told_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run(&tidings().args(["completions", shell, "--json"])).await.json();
        assert_eq!(ran["shell"], shell);
        let script = ran["script"].as_str().unwrap();
        for word in ["subscription", "explain-route", "retention-days"] {
            assert!(script.contains(word), "{shell} is not told of {word}");
        }
    }
    run(&tidings().args(["completions", "tcsh"])).await.refused(2, "possible values: bash");
}

#[tokio::test]
async fn page_of_a_command_is_printed() {
    let page = run(&tidings().args(["man", "subscriber", "add"])).await;
    assert_eq!(page.code, Some(0), "{page:?}");
    for part in ["tidings\\-subscriber\\-add", "\\-\\-url", ".SH \"EXIT STATUS\""] {
        assert!(page.stdout.contains(part), "{part} is not in {}", page.stdout);
    }
    let json = run(&tidings().args(["man", "--json"])).await.json();
    assert_eq!(json["name"], "tidings.1");
    let ran = run(&tidings().args(["man", "subscriber", "fly"])).await;
    ran.refused(3, "there is no command `tidings subscriber fly`");
    assert!(ran.stderr.contains("hint: `tidings subscriber` has add, update"), "{ran:?}");
}

#[tokio::test]
async fn pages_are_written_one_for_each_command_and_man_can_read_them() {
    let folder = Temporary::new("man");
    let into = folder.path().join("deeper/man1");
    let launch = tidings().args(["man", "--json", "--output"]).arg(&into);
    let written = run(&launch).await.json();
    let files = written["files"].as_array().unwrap();
    assert!(files.len() > super::help::COMMANDS.len() - 1, "{files:?}");
    for command in super::help::COMMANDS {
        let name = format!("tidings {command}").trim_end().replace(' ', "-");
        let path = into.join(format!("{name}.1"));
        let page = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
            assert!(MACROS.iter().any(|known| line.starts_with(known)), "{name}: {line}");
        }
        assert!(page.contains(".SH NAME") && page.contains(".SH \"EXIT STATUS\""), "{name}");
        // What is beyond the form of single lines, where there is somebody who can tell.
        if let Ok(output) = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-W", "break", "-z"])
            .arg(&path)
            .output()
        {
            assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
        }
    }
}
