//! The table of settings in the README, and the tests that hold it to the definition of the command line.

use std::{collections::BTreeSet, fmt::Write};

use clap::{Arg, Command, CommandFactory};

use crate::{arguments::Arguments, environment::VARIABLES, exit::Exit};

const README: &str = include_str!("../README.md");

/// The commands that run on, in the order in which their settings are listed.
const COMMANDS: [&str; 4] = ["up", "worker", "pipeline", "relay"];

/// A setting is what every command understands, and whatever has a variable.
fn table() -> String {
    let command = Arguments::command();
    let mut text =
        "| Flag | Variable | Default | Commands | Meaning |\n|---|---|---|---|---|\n".to_owned();
    for arg in command.get_arguments().filter(|arg| arg.is_global_set()) {
        row(&mut text, arg, "all");
    }
    let with_own = COMMANDS.map(|name| (name, own(&command, name)));
    let mut written = BTreeSet::new();
    for arg in with_own.iter().flat_map(|(_, args)| args) {
        if !written.insert(arg.get_id()) {
            continue;
        }
        let has = |args: &[&Arg]| args.iter().any(|own| own.get_id() == arg.get_id());
        let commands = with_own.iter().filter(|(_, args)| has(args));
        let commands: Vec<_> = commands.map(|(name, _)| format!("`{name}`")).collect();
        row(&mut text, arg, &commands.join(", "));
    }
    for (variable, meaning) in VARIABLES {
        writeln!(text, "| | `{variable}` | | all | {meaning} |").unwrap();
    }
    text
}

fn own<'a>(command: &'a Command, name: &str) -> Vec<&'a Arg> {
    let command = command.find_subcommand(name).unwrap();
    command.get_arguments().filter(|arg| arg.get_env().is_some() && !arg.is_global_set()).collect()
}

fn row(text: &mut String, arg: &Arg, commands: &str) {
    let flag = arg.get_long().unwrap();
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let value =
        value.and_then(|names| names.first()).map(|name| format!(" {name}")).unwrap_or_default();
    let variable = arg.get_env().map(|name| format!("`{}`", name.to_string_lossy()));
    let default = arg.get_default_values().first().filter(|_| arg.get_action().takes_values());
    let default = default.map(|default| format!("`{}`", default.to_string_lossy()));
    let possible: Vec<_> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    let meaning = arg.get_help().unwrap().to_string();
    let meaning = match possible.as_slice() {
        [_, ..] if arg.get_action().takes_values() => format!("{meaning}: {}", possible.join(", ")),
        _ => meaning,
    };
    let (variable, default) = (variable.unwrap_or_default(), default.unwrap_or_default());
    writeln!(text, "| `--{flag}{value}` | {variable} | {default} | {commands} | {meaning} |")
        .unwrap();
}

#[test]
fn readme_has_every_setting_as_the_command_line_defines_it() {
    let table = table();
    assert!(README.contains(&table), "put this table into cli/README.md:\n\n{table}");
}

#[test]
fn readme_has_every_exit_code() {
    let table = Exit::markdown();
    assert!(README.contains(&table), "put this table into cli/README.md:\n\n{table}");
}
