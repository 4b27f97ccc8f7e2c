//! `query`.

use std::fs;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use ecs_queue_scaler::cli::page::grouped;
use ecs_queue_scaler::cli::tables::{LONGEST, QueryError, Rows, Seen, check, explained, read};
use tokio::time::Instant;

use super::account::{self, Access, PATIENCE_FOR_ALL, runtime};
use super::{Ends, Failed, Said, said};

#[derive(Args, Debug)]
#[group(id = "query")]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["statement", "tables", "save"]))]
pub(crate) struct Arguments {
    /// One SELECT, in the words of SQLite
    statement: Option<String>,
    /// Explain the tables and their columns, without AWS
    #[arg(long, conflicts_with_all = ["statement", "save"])]
    tables: bool,
    /// Write the tables to a file, which must not be there, as a database of SQLite
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    account: account::Arguments,
}

/// How rows are shown.
#[derive(Args, Clone, Copy, Debug)]
#[group(id = "form", multiple = false, requires = "statement")]
struct Form {
    /// Print the rows as comma-separated values
    #[arg(long)]
    csv: bool,
    /// Print the rows as JSON, an object each, beside their columns and what could not be read
    #[arg(long)]
    json: bool,
}

impl Form {
    fn of(self, rows: &Rows, missing: &[String]) -> Result<String, QueryError> {
        match self {
            Self { csv: true, .. } => Ok(rows.csv()),
            Self { json: true, .. } => rows.json(missing),
            Self { .. } => Ok(rows.page()),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Said, Failed> {
    let Arguments { statement, tables, save, form, account } = arguments;
    if *tables {
        return Ok(said(&explained()));
    }
    let failed = |error: QueryError| match error.to_string() {
        text if error.is_wrong_use() => Failed::Use(text),
        text => Failed::Wrong(vec![text]),
    };
    // What is wrong with the call is said before anything is read for it.
    if let Some(statement) = statement {
        check(statement).map_err(failed)?;
    }
    if let Some(file) = save.as_ref().filter(|file| fs::exists(file).unwrap_or(true)) {
        return Err(failed(QueryError::Exists(file.display().to_string())));
    }
    let Seen { mut tables, notes, missing } = runtime()?.block_on(async {
        let access = account.access(true).await?.within(PATIENCE_FOR_ALL);
        let Access { cloud, deployment, invocation } = access;
        let seen = Box::pin(read(&deployment, &cloud, &invocation)).await;
        seen.map_err(|error| Failed::Wrong(vec![error.to_string()]))
    })?;
    let mut is_whole = missing.is_empty();
    let mut err: Vec<_> = notes.into_iter().chain(missing.iter().cloned()).collect();
    if let Some(file) = save {
        tables.save(file).map_err(failed)?;
        err.push(format!("wrote {}", file.display()));
    }
    let mut out = Vec::new();
    if let Some(statement) = statement {
        let rows = tables.ask(statement, Instant::now() + LONGEST).map_err(failed)?;
        out.push(form.of(&rows, &missing).map_err(failed)?);
        if rows.is_cut {
            is_whole = false;
            let count = grouped(u64::try_from(rows.rows.len()).unwrap_or(u64::MAX));
            err.push(format!("cut after {count} rows: narrow it with WHERE or LIMIT"));
        }
    }
    Ok(Said { out, err, ends: Ends::failed_if(!is_whole) })
}
