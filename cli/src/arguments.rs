//! The command line: every command, flag and variable.

pub(crate) mod catalogue;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod global;
pub(crate) mod kafka;
pub(crate) mod listen;
pub(crate) mod log;
pub(crate) mod paper;
pub(crate) mod pipeline;
pub(crate) mod relay;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod serve;
pub(crate) mod sink;
pub(crate) mod subscriber;
pub(crate) mod telemetry;
pub(crate) mod template;
pub(crate) mod up;
pub(crate) mod worker;

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::{OsStr, Resettable},
};

use crate::{environment, exit::Exit};

/// Typed events, registered in your own Postgres transaction and delivered to webhooks.
///
/// `tidings up` runs everything on one machine, with a Postgres of its own; `tidings worker` is for a database that you
/// run.
/// The other commands look and manage; started beside a running `up`, they find its database by themselves.
#[derive(Debug, Parser)]
#[command(
    name = "tidings",
    bin_name = "tidings",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Arguments {
    /// What every command understands.
    #[command(flatten)]
    pub(crate) global: global::Global,
    /// What is to be done.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything: the embedded database, its schema, a worker, and the telemetry pipeline
    ///
    /// The database lives in the folder --data and is kept between runs; with `DATABASE_URL`, that database is used
    /// instead.
    /// Ctrl-C lets what is in flight finish; a second one stops at once.
    Up(Box<up::Up>),
    /// Run a worker on the database of `DATABASE_URL`
    ///
    /// Any number of workers share the work and take over from each other.
    /// Ctrl-C lets what is in flight finish; a second one stops at once.
    Worker(Box<worker::Worker>),
    /// Bring the schema of the database up to date
    ///
    /// Done once however often and by however many processes it is called.
    /// It needs a session of its own: not through a transaction pooler.
    Migrate,
    /// Look at the event types that the application has declared, export and compare them
    #[command(subcommand)]
    Catalogue(catalogue::Command),
    /// Manage who gets events
    #[command(subcommand)]
    Subscriber(subscriber::Command),
    /// Manage which events a subscriber gets
    #[command(subcommand)]
    Subscription(subscriber::SubscriptionCommand),
    /// Try out the templates of chat messages
    #[command(subcommand)]
    Template(template::Command),
    /// Look at events
    #[command(subcommand)]
    Event(log::EventCommand),
    /// Look at deliveries: one event on its way to one subscriber
    #[command(subcommand)]
    Delivery(log::DeliveryCommand),
    /// Look at dead letters and replay them
    #[command(subcommand)]
    Dead(log::DeadCommand),
    /// Manage the key pair of the installation, which signs by v1a
    #[command(subcommand)]
    Keys(subscriber::rotate::KeysCommand),
    /// Receive webhooks or analytics on this machine, check them, and show them
    ///
    /// What does not verify is answered with 401, as a receiver should, and the reason is shown.
    /// Anything else is answered with 204, or as --answer, --fail-every, --delay and --close say.
    /// With --subscribe, a subscriber is added for as long as this runs; it needs the database and the key of the
    /// workers, and workers that run with `--allow-address 127.0.0.1`.
    ///
    /// With --analytics, it is Segment and PostHog for whatever sends to them, and says what they would refuse, what they
    /// would throw away, and what has come more than once.
    Listen(listen::Listen),
    /// Deliver the events of a time again, each under its own id
    ///
    /// They go to those who are subscribed now; whoever still waits for one of them does not get it twice.
    /// What was given up is for `tidings dead replay`.
    /// Interrupted, it says how to go on.
    Replay(replay::Replay),
    /// Say who would be notified of an event, and why, or why not
    ///
    /// With a payload, or with an event that is stored, the filters of subscriptions are tried as well.
    ExplainRoute(explain::ExplainRoute),
    /// Run a relay: the public door for events of front ends and devices
    ///
    /// It takes /analytics, and what the SDKs of Segment, PostHog, Sunbird and DIGIT send.
    /// A 200 means that it is committed.
    Relay(relay::Relay),
    /// Manage the keys with which relays take telemetry
    #[command(subcommand)]
    Key(relay::KeyCommand),
    /// Manage channels: whose telemetry it is, how much of it, and by which rules
    #[command(subcommand)]
    Channel(relay::ChannelCommand),
    /// Manage sinks: where the telemetry of events goes
    #[command(subcommand)]
    Sink(sink::SinkCommand),
    /// Show what is collected for analytics, or change it
    ///
    /// It takes effect at once, also for what is waiting: an event is sent only if every level since it was registered
    /// permits it.
    Level(sink::SetLevel),
    /// Look at reports: what an installation tells of itself at each interval
    ///
    /// `tidings worker --report` makes those of Tidings itself; an application makes its own with the library.
    #[command(subcommand)]
    Report(report::ReportCommand),
    /// Keep somebody out of what is collected, or take them out of it
    #[command(subcommand)]
    Subject(sink::SubjectCommand),
    /// Run the telemetry pipeline: from raw batches to each event once, in files and in an index
    ///
    /// Any number of processes share the partitions, and take over from each other.
    /// `tidings up` runs one by itself.
    /// Ctrl-C lets what is under way finish; a second one stops at once.
    Pipeline(pipeline::Pipeline),
    /// Look into the telemetry pipeline, and do things again
    #[command(subcommand)]
    Telemetry(telemetry::TelemetryCommand),
    /// Look for what is wrong, and say what cures it
    ///
    /// Nothing is changed, and each check ends in time.
    /// It fails if there is an error; warnings are for a calm hour.
    Doctor(doctor::Doctor),
    /// Print what makes a shell complete commands and flags
    ///
    /// For this shell only: `source <(tidings completions bash)`.
    /// For good: `tidings completions bash > ~/.local/share/bash-completion/completions/tidings`, or for zsh a file
    /// `_tidings` in a folder of `$fpath`, for fish `~/.config/fish/completions/tidings.fish`.
    Completions(paper::Completions),
    /// Print a page for man, or write all of them
    ///
    /// To read one: `tidings man subscriber add | man -l -`.
    /// To install them: `tidings man --output ~/.local/share/man/man1`.
    Man(paper::Man),
}

/// Which part of a long list.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Page {
    /// How many to list, 1 to 1000
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
}

/// Reads the command line of the process; help and errors of usage are for the caller to print.
pub(crate) fn parse() -> Result<Arguments, clap::Error> {
    let matches = command().try_get_matches()?;
    Arguments::from_arg_matches(&matches)
}

/// Returns the definition of the command line.
///
/// Every help ends with the exit codes, and a variable that is empty counts as not set.
pub(crate) fn command() -> clap::Command {
    let command = complete(Arguments::command(), &Exit::help());
    command.after_help(format!("{}\n\n{}", environment::help(), Exit::help()))
}

/// Returns the definition of the command line as it is written down: whatever the variables of this process are.
pub(crate) fn written() -> clap::Command {
    Arguments::command()
}

fn complete(command: clap::Command, exit_codes: &str) -> clap::Command {
    command
        .after_help(exit_codes.to_owned())
        .mut_args(|arg| match arg.get_env() {
            Some(name) if environment::is_empty(name) => arg.env(Resettable::<OsStr>::Reset),
            _ => arg,
        })
        .mut_subcommands(|subcommand| complete(subcommand, exit_codes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_help_renders_and_ends_with_the_exit_codes() {
        fn check(mut command: clap::Command) {
            let (name, help) =
                (command.get_name().to_owned(), command.render_long_help().to_string());
            assert!(help.trim_end().ends_with(Exit::help().trim_end()), "{name}: {help}");
            command.get_subcommands().cloned().for_each(check);
        }
        check(command());
    }
}
