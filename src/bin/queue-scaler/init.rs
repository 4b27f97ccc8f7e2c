//! `init`, and `import`.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use ecs_queue_scaler::cli::file::write_new;
use ecs_queue_scaler::cli::import::keda;
use ecs_queue_scaler::cli::init::{propose, survey};
use tokio::time::Instant;

use super::account::{self, now, runtime};
use super::validate::text_of;
use super::{Ends, Failed, Said};

/// A call a queue, and several a cluster.
const LONGEST: Duration = Duration::from_mins(5);

#[derive(Args, Debug)]
#[group(id = "init")]
pub(crate) struct Arguments {
    /// The file to write, which must not be there; `-` is standard output
    #[arg(default_value = "workers.yaml")]
    file: PathBuf,
    #[command(flatten)]
    account: account::Connection,
}

/// Programs whose manifests are known.
#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// `ScaledJob` and `ScaledObject` manifests of KEDA with an SQS trigger
    Keda {
        /// The manifests; `-` is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

pub(crate) fn import(import: &Import) -> Result<Said, Failed> {
    let Import::Keda { files } = import;
    let read = |file: &PathBuf| {
        let wrong =
            |error: io::Error| Failed::Use(format!("cannot read `{}`: {error}", file.display()));
        Ok((file.display().to_string(), text_of(file).map_err(wrong)?))
    };
    let manifests = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let imported = keda(&manifests).map_err(|error| Failed::Wrong(vec![error.to_string()]))?;
    let ends = Ends::failed_if(imported.workers == 0);
    Ok(Said { out: vec![imported.text.trim_end().to_owned()], err: imported.notes, ends })
}

pub(crate) fn run(arguments: &Arguments) -> Result<Said, Failed> {
    let Arguments { file, account } = arguments;
    let is_stdout = file == Path::new("-");
    if !is_stdout && fs::exists(file).unwrap_or(true) {
        return Err(is_there(file));
    }
    let proposal = runtime()?.block_on(async {
        let cloud = account.connect().await?.read;
        let cloud = cloud.for_tick(now(), Instant::now() + LONGEST);
        let found = Box::pin(survey(&cloud)).await;
        let found = found.map_err(|error| Failed::Wrong(vec![error.to_string()]))?;
        Ok(Box::pin(propose(&cloud, found)).await)
    })?;
    let text = proposal.text();
    if is_stdout {
        return Ok(Said { out: vec![text.trim_end().to_owned()], ..Said::default() });
    }
    write_new(file, text.as_bytes()).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => is_there(file),
        _ => Failed::Use(format!("cannot write `{}`: {error}", file.display())),
    })?;
    let (workers, others) = (proposal.workers.len(), proposal.others.len());
    let line = format!(
        "wrote {}: {workers} workers proposed, {others} queues without one; read it, then: queue-scaler validate \
         --aws {}",
        file.display(),
        file.display()
    );
    Ok(Said { out: vec![line], err: proposal.notes, ..Said::default() })
}

fn is_there(file: &Path) -> Failed {
    Failed::Use(format!("`{}` is there already, and nothing is written over it", file.display()))
}
