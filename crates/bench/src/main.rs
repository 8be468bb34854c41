//! The command line of the measurements.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tidegate_bench::{
    machine::Machine,
    report::Report,
    scenario::{self, Extent, Plan, Scenario},
    target::Peer,
    torture,
};

/// Measures Tidegate and tortures it; everything stays on this machine and ends by itself.
#[derive(Parser)]
#[command(name = "tidegate-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure scenarios, our server and peers in turn.
    Run(RunArgs),
    /// Kill our server at random points under load and check what it promised.
    Torture(TortureArgs),
}

#[derive(Args)]
struct RunArgs {
    /// Our binary; the one beside this if not given, none if `off`.
    #[arg(long)]
    tidegate: Option<PathBuf>,
    /// A server that runs already: `name=http://127.0.0.1:PORT,pid=N[,db=NAME]`.
    #[arg(long)]
    peer: Vec<Peer>,
    /// Scenarios to run; all if not given.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// How long one measurement may load a server, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Rounds through all servers per scenario; the median is shown.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=9))]
    rounds: u32,
    /// The sizes of the budgets: 300,000 documents in bulk, 2,000,000 in growth, 10,000 databases.
    #[arg(long)]
    full: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Write the table for the documentation.
    #[arg(long)]
    markdown: Option<PathBuf>,
}

#[derive(Args)]
struct TortureArgs {
    /// Our binary; the one beside this if not given.
    #[arg(long)]
    tidegate: Option<PathBuf>,
    /// How often to kill.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// What to draw from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A folder that doesn't exist yet, to be kept; a temporary one if not given.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    raise_open_files();
    // One thread: the cores belong to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match cli.command {
        Command::Run(args) => runtime.block_on(run(args)),
        Command::Torture(args) => runtime.block_on(torture(args)),
    }
}

async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let binary = match args.tidegate {
        Some(off) if off.as_os_str() == "off" => None,
        Some(binary) => Some(binary),
        None => Some(binary_beside()?),
    };
    let scenarios = if args.only.is_empty() { Scenario::value_variants().to_vec() } else { args.only };
    let plan = Plan {
        binary,
        peers: args.peer,
        scenarios,
        time_max: Duration::from_secs(args.seconds),
        extent: if args.full { Extent::Full } else { Extent::Usual },
        rounds: args.rounds,
    };
    let progress = std::io::stderr().is_terminal() || !args.json;
    let measurements = scenario::run(&plan, |row| {
        if progress {
            show(&format!("{} · {} {}", row.operation, row.server, row.note));
        }
    })
    .await;
    let report = Report { machine: Machine::describe(&std::env::temp_dir()), measurements };
    if let Some(path) = &args.markdown {
        std::fs::write(path, report.markdown()).with_context(|| format!("writing {}", path.display()))?;
    }
    let text = if args.json { serde_json::to_string_pretty(&report)? } else { report.terminal() };
    writeln!(std::io::stdout(), "{text}")?;
    for row in report.over_budget() {
        show(&format!("over budget: {}", row.operation));
    }
    let failed = report.measurements.iter().any(|row| row.failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn torture(args: TortureArgs) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &args.folder {
        std::fs::create_dir(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let binary = args.tidegate.map_or_else(binary_beside, Ok)?;
    let (rounds, seed, folder) = (args.rounds, args.seed, args.folder);
    let options = torture::Options { rounds, seed, folder, ..torture::Options::new(binary) };
    let report = torture::run(options, |report| {
        if report.rounds.is_multiple_of(10) || !report.violations.is_empty() {
            show(&format!("round {}: {} writes acknowledged", report.rounds, report.acknowledged));
        }
    })
    .await?;
    let text = if args.json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn binary_beside() -> anyhow::Result<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name("tidegate");
    anyhow::ensure!(beside.exists(), "no tidegate binary beside this one; build it with --release or give --tidegate");
    Ok(beside)
}

/// A thousand listeners need as many sockets; servers started from here inherit the limit.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(errno) = setrlimit(Resource::Nofile, limit) {
        show(&format!("the limit of open files stays: {errno}"));
    }
}

/// A line of progress; losing one is no reason to stop.
fn show(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
