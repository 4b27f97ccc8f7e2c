//! `console`.

use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;
use ecs_queue_scaler::cli::console::{About, Board, Guard, Reader, Routes, router, serve};
use ecs_queue_scaler::cli::overview::History;
use ecs_queue_scaler::cli::reads::{OfDemo, Reads};
use ecs_queue_scaler::cli::top::Reading;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::unbounded_channel;

use super::account::{now, runtime, variable};
use super::reader::{self, Account, By};
use super::{Ends, Failed, Said, Terminal};

/// Where a key may be given that stays the same, as for Prometheus.
const KEY: &str = "QUEUE_SCALER_CONSOLE_KEY";

#[derive(Args, Debug)]
#[group(id = "console")]
pub(crate) struct Arguments {
    /// The port of this machine; 0 takes any that is free
    #[arg(long, default_value_t = 7788)]
    port: u16,
    /// Another port by which a browser reaches it, as through `ssh -L 9000:127.0.0.1:7788`
    #[arg(long, value_name = "PORT")]
    also_port: Vec<u16>,
    /// Let the page stop a task, after a question
    #[arg(long, conflicts_with = "demo")]
    allow_stop: bool,
    /// Also give the numbers at /metrics, in the text format of Prometheus
    #[arg(long)]
    prometheus: bool,
    #[command(flatten)]
    reader: reader::Arguments,
}

pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Said, Failed> {
    let runtime = runtime()?;
    let may_stop = arguments.allow_stop;
    let run = now().as_millisecond().to_string();
    let is_utc = terminal.clock.is_utc();
    let board = |history| Board::new(About { run, may_stop, is_saved: false, is_utc }, history);
    let (of_demo, account);
    let (source, board): (&dyn Reads, _) = if let Some(seed) = arguments.reader.demo {
        let mut board = board(History::default());
        of_demo =
            OfDemo::after_an_hour(seed, |view, at| board.refreshed(view, at, Reading::default()));
        (&of_demo, board)
    } else {
        let by = By { command: "console", may_stop };
        account = runtime.block_on(Account::find(&arguments.reader, by))?;
        let history = runtime.block_on(account.history(&arguments.reader))?;
        (&account, board(history))
    };
    runtime.block_on_in_silence(opened(arguments, source, board))
}

async fn opened(arguments: &Arguments, source: &dyn Reads, board: Board) -> Result<Said, Failed> {
    let listeners = bound(arguments.port).await?;
    let address = listeners.first().and_then(|listener| listener.local_addr().ok());
    let port = address.map_or(arguments.port, |address| address.port());
    let ports = std::iter::once(port).chain(arguments.also_port.iter().copied()).collect();
    let guard = guard(ports)?;
    let may_stop = arguments.allow_stop;
    let line = if may_stop {
        "may stop tasks; Ctrl-C ends it"
    } else {
        "read-only (--allow-stop lets it stop tasks); Ctrl-C ends it"
    };
    let line = format!("http://127.0.0.1:{port}/#k={}   {line}", guard.key());
    let mut out = io::stdout();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|error| Failed::Wrong(vec![format!("cannot say where the page is: {error}")]))?;
    let (sender, wishes) = unbounded_channel();
    let beside = Routes { stop: may_stop, prometheus: arguments.prometheus };
    let router = router(board.desk(sender), guard, beside);
    let every = arguments.reader.every();
    let mut reader = Reader::new(board, source, every, wishes);
    let on = |kind: SignalKind| {
        signal(kind).map_err(|error| Failed::Wrong(vec![format!("cannot wait: {error}")]))
    };
    let (mut interrupted, mut terminated) =
        (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    let ends = tokio::select! {
        _ = interrupted.recv() => Ends::Interrupted,
        _ = terminated.recv() => Ends::Failed,
        () = reader.run() => Ends::Failed,
        () = serve(listeners, router) => Ends::Failed,
    };
    Ok(Said { ends, ..Said::default() })
}

fn guard(ports: Vec<u16>) -> Result<Guard, Failed> {
    match variable(KEY) {
        Some(key) => {
            Guard::with_key(&key, ports).map_err(|why| Failed::Use(format!("{KEY}: {why}")))
        }
        None => Guard::new(ports)
            .map_err(|error| Failed::Wrong(vec![format!("cannot make a key: {error}")])),
    }
}

/// Both addresses of this machine that no other one reaches. Where `localhost` leads to somebody else's program, the
/// page must not seem to be there.
async fn bound(port: u16) -> Result<Vec<TcpListener>, Failed> {
    let wrong = |address: SocketAddr, error: &io::Error| {
        let why = match error.kind() {
            ErrorKind::AddrInUse => {
                "is in use, perhaps by another console: `--port 0` takes any that is free"
                    .to_owned()
            }
            _ => format!("cannot be listened on: {error}"),
        };
        Failed::Wrong(vec![format!("{address} {why}")])
    };
    let first = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let listener = TcpListener::bind(first).await.map_err(|error| wrong(first, &error))?;
    let port = listener.local_addr().map_err(|error| wrong(first, &error))?.port();
    let second = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port);
    match TcpListener::bind(second).await {
        Ok(other) => Ok(vec![listener, other]),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let why = "is in use by another program, to which `localhost` would lead: try again, or another --port";
            Err(Failed::Wrong(vec![format!("{second} {why}")]))
        }
        // A machine without IPv6.
        Err(_) => Ok(vec![listener]),
    }
}
