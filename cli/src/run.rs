//! One run of the program, from its command line to its exit code.

use std::{env, io, process::ExitCode};

use anyhow::{Context as _, Result};

use crate::{
    arguments::{self, Arguments, Command},
    commands,
    context::Context,
    environment::Environment,
    exit::Exit,
    failure::{Coded, judge},
    logging,
    output::Output,
};

/// Runs the program on the command line of this process, and returns its exit code.
pub fn main() -> ExitCode {
    let environment = Environment::look();
    let arguments = match arguments::parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, environment),
    };
    let Arguments { global, command } = arguments;
    let output = Output::new(global.json, environment);
    let context = Context { global, output };
    match run(&context, &command, environment) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            context.output.error(&error);
            judge(&error).0.into()
        }
    }
}

fn run(context: &Context, command: &Command, environment: Environment) -> Result<()> {
    let global = &context.global;
    let colours = environment.colours_on_stderr && !global.json;
    logging::start(&global.log_level, global.log_format, colours, context.output.bars())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let outcome = runtime.block_on(dispatch(context, command));
    // A look-up of a name that hangs in the operating system is not waited for.
    runtime.shutdown_background();
    outcome
}

async fn dispatch(context: &Context, command: &Command) -> Result<()> {
    match command {
        Command::Up(up) => Box::pin(commands::up::run(context, up)).await,
        Command::Worker(worker) => Box::pin(commands::worker::run(context, worker)).await,
        Command::Migrate => commands::migrate::run(context).await,
        Command::Catalogue(command) => commands::catalogue::run(context, command).await,
        Command::Subscriber(command) => commands::subscriber::run(context, command).await,
        Command::Subscription(command) => commands::subscription::run(context, command).await,
        Command::Template(command) => commands::template::run(context, command).await,
        Command::Event(command) => commands::event::run(context, command).await,
        Command::Delivery(command) => commands::delivery::run(context, command).await,
        Command::Dead(command) => commands::dead::run(context, command).await,
        Command::Keys(command) => commands::keys::run(context, command).await,
        Command::Listen(listen) => commands::listen::run(context, listen).await,
        Command::Replay(replay) => commands::replay::run(context, replay).await,
        Command::ExplainRoute(explain) => commands::explain_route::run(context, explain).await,
        Command::Relay(relay) => commands::relay::run(context, relay).await,
        Command::Key(command) => commands::key::run(context, command).await,
        Command::Channel(command) => commands::key::channel(context, command).await,
        Command::Sink(command) => commands::sink::run(context, command).await,
        Command::Level(level) => commands::level::run(context, level).await,
        Command::Report(command) => commands::report::run(context, command).await,
        Command::Subject(command) => commands::subject::run(context, command).await,
        Command::Pipeline(pipeline) => Box::pin(commands::pipeline::run(context, pipeline)).await,
        Command::Telemetry(command) => Box::pin(commands::telemetry::run(context, command)).await,
        Command::Doctor(doctor) => commands::doctor::run(context, doctor).await,
        Command::Completions(which) => commands::completions::run(context, which),
        Command::Man(which) => commands::man::run(context, which),
    }
}

/// Prints help, or what is wrong with the command line.
fn usage(error: &clap::Error, environment: Environment) -> ExitCode {
    let is_error = error.use_stderr();
    // The command line could not be read, so it is looked at.
    if is_error && env::args_os().any(|argument| argument == "--json") {
        let said = error.render().to_string();
        let said = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let coded = Coded::new(Exit::Usage, said).hint("see --help");
        Output::new(true, environment).error(&coded.into());
    } else if let Err(error) = error.print()
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Exit::Failed.into();
    }
    if is_error { Exit::Usage.into() } else { Exit::Done.into() }
}
