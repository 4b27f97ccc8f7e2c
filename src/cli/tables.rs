//! `query`: what a tick would see, as tables that one SELECT runs over. In memory, read-only, and without what may
//! be a secret: no environment, no command, no secret is in a table.

mod fill;
mod rows;

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::Value;
use rusqlite::{Connection, Error, ErrorCode, Statement};
use tokio::time::Instant;

pub use self::fill::{Seen, read};
pub use self::rows::{Rows, RowsView};
use super::file::write_new;

/// A statement that takes longer is ended.
pub const LONGEST: Duration = Duration::from_secs(5);

/// More rows nobody reads.
const MOST_ROWS: usize = 100_000;

/// So long may an answer be, in bytes, which bounds the memory that it takes.
const MOST_BYTES: usize = 100_000_000;

/// So long may one value be that a statement makes, in bytes.
const LONGEST_VALUE: i32 = 1_000_000;

/// How often the time is looked at, in steps of SQLite.
const STEPS: i32 = 10_000;

/// A column: its name, its type in SQLite, and what it says.
type Column = (&'static str, &'static str, &'static str);

/// The tables, and what is in them.
const TABLES: [(&str, &str, &[Column]); 7] = [
    (
        "workers",
        "the workers of the configuration; one that is refused is in decisions only",
        &[
            ("name", "TEXT", "its name"),
            ("queue", "TEXT", "its queue, by name"),
            ("cluster", "TEXT", "where its tasks run"),
            ("task_definition", "TEXT", "what they run"),
            ("max_containers", "INTEGER", "containers that are never exceeded"),
            ("tasks", "INTEGER", "tasks that ECS does not want stopped"),
            ("containers", "INTEGER", "their worker containers that have not stopped"),
            ("running", "INTEGER", "of these, the ones that run"),
            ("paused", "INTEGER", "1 where nothing is started for it"),
        ],
    ),
    (
        "queues",
        "the workers' queues",
        &[
            ("worker", "TEXT", "whose it is"),
            ("name", "TEXT", "its name"),
            ("visible", "INTEGER", "messages that can be received now"),
            ("in_flight", "INTEGER", "messages that were received and not deleted yet"),
            ("delayed", "INTEGER", "messages that cannot be received yet"),
        ],
    ),
    (
        "tasks",
        "tasks of ours that have not come to their end",
        &[
            ("id", "TEXT", "the end of its ARN"),
            ("worker", "TEXT", "whose it is"),
            ("cluster", "TEXT", "where it runs"),
            ("state", "TEXT", "provisioning, starting, running or stopping"),
            ("created", "TEXT", "when, in UTC"),
            ("started", "TEXT", "when it reached RUNNING, in UTC"),
            ("revision", "TEXT", "what it runs, as family:revision"),
            ("capacity", "TEXT", "its capacity provider or launch type"),
            ("instance", "TEXT", "the container instance that it stands on; null on Fargate"),
            ("tick", "TEXT", "the scheduled tick that started it, in UTC"),
        ],
    ),
    (
        "containers",
        "the containers of these tasks",
        &[
            ("task", "TEXT", "the id of its task"),
            ("name", "TEXT", "its name"),
            ("status", "TEXT", "starting, running or stopped"),
            ("exit_code", "INTEGER", "of one that has stopped"),
        ],
    ),
    (
        "instances",
        "the ACTIVE container instances of the workers' clusters",
        &[
            ("id", "TEXT", "the end of its ARN"),
            ("ec2", "TEXT", "its machine"),
            ("cluster", "TEXT", "where it is"),
            ("zone", "TEXT", "its Availability Zone"),
            ("connected", "INTEGER", "1 where its agent is connected"),
            ("capacity_provider", "TEXT", "whose capacity it is"),
            ("tasks", "INTEGER", "tasks that it runs or is about to run, of everybody"),
            ("cpu", "INTEGER", "CPU units that it has"),
            ("cpu_left", "INTEGER", "of these, the ones that nobody has reserved"),
            ("memory", "INTEGER", "MiB that it has"),
            ("memory_left", "INTEGER", "of these, the ones that nobody has reserved"),
            ("gpus", "INTEGER", "GPUs that it has"),
            ("gpus_left", "INTEGER", "of these, the ones that nobody has reserved"),
        ],
    ),
    (
        "definitions",
        "the workers' task definitions, as far as they were read: of workers that are owed something or run",
        &[
            ("name", "TEXT", "as the configuration names it"),
            ("revision", "TEXT", "family:revision"),
            ("cpu", "INTEGER", "CPU units of the task; null where it says none"),
            ("memory", "INTEGER", "MiB of the task; null where it says none"),
            ("network_mode", "TEXT", "its network mode"),
            ("containers", "INTEGER", "containers in it"),
        ],
    ),
    (
        "decisions",
        "what a tick of now would do; one a worker",
        &[
            ("worker", "TEXT", "for whom"),
            ("outcome", "TEXT", "idle, planned, held, ...: a word of the result"),
            ("tasks", "INTEGER", "tasks that would be started"),
            ("containers", "INTEGER", "worker containers in them"),
            ("waits_for", "TEXT", "why messages wait, in words of the result; null where none do"),
            ("why", "TEXT", "the arithmetic"),
            ("errors", "TEXT", "what went wrong; null where nothing did"),
        ],
    ),
];

/// Why there is no answer, or no file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The statement is wrong.
    #[error("{0}; `query --tables` lists the tables and their columns")]
    Statement(String),
    /// It would do more than read these tables.
    #[error("only one SELECT over these tables is let through; `query --tables` lists them")]
    NotOnlyRead,
    /// It took too long.
    #[error(
        "the statement took longer than {} s, and was ended: narrow it with WHERE, or `--save` the tables and ask \
         them elsewhere",
        LONGEST.as_secs()
    )]
    TooLong,
    /// Two columns of the answer would be one member of an object.
    #[error("two columns are called `{0}`: name one of them otherwise with AS")]
    SameName(String),
    /// The file is there.
    #[error("`{0}` is there already, and nothing is written over it")]
    Exists(String),
    /// The file cannot be written.
    #[error("cannot write {0}")]
    File(String),
}

impl QueryError {
    /// Whether it was asked wrongly, rather than that something failed.
    pub fn is_wrong_use(&self) -> bool {
        match self {
            Self::Statement(_) | Self::NotOnlyRead | Self::SameName(_) | Self::Exists(_) => true,
            Self::TooLong | Self::File(_) => false,
        }
    }
}

impl From<Error> for QueryError {
    fn from(error: Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => return Self::TooLong,
            Some(ErrorCode::AuthorizationForStatementDenied) => return Self::NotOnlyRead,
            _ => {}
        }
        match error {
            Error::MultipleStatement => Self::NotOnlyRead,
            Error::Empty => Self::Statement("there is no statement".to_owned()),
            // A function that is refused has the code of any mistake.
            Error::SqlInputError { msg, .. } if msg.starts_with("not authorized") => {
                Self::NotOnlyRead
            }
            Error::SqlInputError { msg, .. } => Self::Statement(msg),
            error => Self::Statement(error.to_string()),
        }
    }
}

/// The tables, filled or empty.
#[derive(Debug)]
pub struct Tables(Connection);

impl Tables {
    /// Empty ones.
    fn new() -> Result<Self, Error> {
        let connection = Connection::open_in_memory()?;
        // What does not fit into its caches would go to files.
        connection.execute_batch("PRAGMA temp_store = MEMORY")?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST_VALUE)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        for (table, _, columns) in TABLES {
            let columns: Vec<_> =
                columns.iter().map(|(name, kind, _)| format!("{name} {kind}")).collect();
            connection.execute(&format!("CREATE TABLE {table} ({})", columns.join(", ")), [])?;
        }
        Ok(Self(connection))
    }

    /// Puts a row into a table. Its values come in the order of the columns.
    fn put(&self, table: &str, row: Vec<Value>) -> Result<(), Error> {
        let values = vec!["?"; row.len()].join(", ");
        let statement = format!("INSERT INTO {table} VALUES ({values})");
        self.0.execute(&statement, rusqlite::params_from_iter(row)).map(drop)
    }

    /// Runs one SELECT until then at most.
    ///
    /// # Errors
    /// When it is wrong, does more than read, or takes too long.
    pub fn ask(&mut self, statement: &str, until: Instant) -> Result<Rows, QueryError> {
        self.0.progress_handler(STEPS, Some(move || until <= Instant::now()))?;
        let mut prepared = self.prepared(statement)?;
        let columns: Vec<_> = prepared.column_names().map(str::to_owned).collect();
        let width = columns.len();
        let mut found = Rows { columns, rows: Vec::new(), is_cut: false };
        let mut length = 0_usize;
        let mut rows = prepared.query([])?;
        while let Some(row) = rows.next()? {
            if MOST_ROWS <= found.rows.len() || MOST_BYTES <= length {
                found.is_cut = true;
                break;
            }
            let values: Vec<Value> =
                (0..width).map(|index| row.get(index)).collect::<Result<_, _>>()?;
            length = values.iter().map(length_of).fold(length, usize::saturating_add);
            found.rows.push(values);
        }
        Ok(found)
    }

    /// A statement that only reads.
    fn prepared(&mut self, statement: &str) -> Result<Statement<'_>, QueryError> {
        self.0.authorizer(Some(only_reads))?;
        let prepared = self.0.prepare(statement)?;
        let gives_rows = prepared.column_count() != 0;
        if prepared.readonly() && gives_rows { Ok(prepared) } else { Err(QueryError::NotOnlyRead) }
    }

    /// Writes them to a file that is not there yet: whole, or not at all.
    ///
    /// # Errors
    /// When it is there, or cannot be written.
    pub fn save(&mut self, file: &Path) -> Result<(), QueryError> {
        // It asks by a PRAGMA how large it is.
        self.0.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        self.0.progress_handler(0, None::<fn() -> bool>)?;
        let bytes = self.0.serialize(rusqlite::MAIN_DB)?;
        write_new(file, &bytes).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => QueryError::Exists(file.display().to_string()),
            _ => QueryError::File(format!("`{}`: {error}", file.display())),
        })
    }
}

/// Whether a statement would be run: before anything is read for it.
///
/// # Errors
/// When it is wrong, or does more than read.
pub fn check(statement: &str) -> Result<(), QueryError> {
    Tables::new()?.prepared(statement).map(drop)
}

/// About what it takes in memory.
fn length_of(value: &Value) -> usize {
    let text = match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        Value::Null | Value::Integer(_) | Value::Real(_) => 0,
    };
    text.saturating_add(size_of::<Value>())
}

/// Nothing is attached, set, loaded or changed.
fn only_reads(context: AuthContext<'_>) -> Authorization {
    match context.action {
        // Pragmas can be asked as if they were tables, in capitals too.
        AuthAction::Read { table_name, .. }
            if table_name.to_ascii_lowercase().starts_with("pragma_") =>
        {
            Authorization::Deny
        }
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => {
            Authorization::Allow
        }
        AuthAction::Function { function_name } if function_name != "load_extension" => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

/// The tables and their columns, for a person.
pub fn explained() -> String {
    let mut lines = Vec::new();
    for (table, about, columns) in TABLES {
        lines.push(format!("{table}: {about}"));
        lines.extend(columns.iter().map(|(name, _, about)| format!("    {name:<19}{about}")));
    }
    lines.join("\n")
}
