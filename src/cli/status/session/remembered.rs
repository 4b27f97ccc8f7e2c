//! Tasks that ended badly, in a file: ECS forgets them after an hour.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use decision::snapshot::{Ended, EndedContainer};
use decision::units::elapsed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cli::file::write_over;
use crate::cli::page::short_id;

/// The name of this shape.
const SCHEMA: &str = "queue-scaler.remembered";

const VERSION: u32 = 1;

/// As many are kept, the newest: about 4 MB.
const MOST: usize = 10_000;

/// For so long ECS itself lists what has ended.
/// Source: ECS developer guide, "Stopped tasks error messages".
const LISTED: Duration = Duration::from_hours(1);

/// A task that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedTask {
    /// Whose it was.
    pub worker: String,
    /// Its id.
    pub task: String,
    /// When it stopped.
    pub stopped: Timestamp,
    /// ECS's `stopCode`.
    pub code: String,
    /// ECS's `stoppedReason`.
    pub reason: String,
    /// The exit codes of its containers, and ECS's words for them, each once.
    pub exits: Vec<String>,
}

/// Where nobody knows what is to be hidden.
const NO_WORDS: &str = "its reason is not kept, as its task definition cannot be read";

impl EndedTask {
    /// Without AWS's words for it.
    pub(super) fn without_words(task: &Ended) -> Self {
        let containers = task.containers.iter().cloned();
        let containers = containers.map(|one| EndedContainer { reason: None, ..one }).collect();
        Self::of(&Ended { reason: NO_WORDS.to_owned(), containers, ..task.clone() })
    }

    pub(in crate::cli::status) fn of(task: &Ended) -> Self {
        let exits = task.containers.iter().map(|container| {
            let exit = container.exit;
            let exit =
                exit.map_or_else(|| "no exit code".to_owned(), |code| format!("exit {code}"));
            container.reason.as_ref().map(|why| format!("{exit} {why}")).unwrap_or(exit)
        });
        let exits: BTreeSet<_> = exits.collect();
        Self {
            worker: task.worker.to_string(),
            task: short_id(task.arn.as_str()).to_owned(),
            stopped: task.stopped,
            code: task.code.clone(),
            reason: task.reason.clone(),
            exits: exits.into_iter().collect(),
        }
    }
}

/// The first line of the file: whose tasks it has.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    schema: String,
    version: u32,
    scaler: String,
    region: String,
    account: String,
}

/// Whose tasks are remembered.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The name under which they are started.
    pub scaler: &'a str,
    /// The Region.
    pub region: &'a str,
    /// The account.
    pub account: &'a str,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in {} of account {}", self.scaler, self.region, self.account)
    }
}

/// Tasks that ended badly, the newest last. The file has a head, and then a line each.
#[derive(Debug)]
pub struct Remembered {
    file: PathBuf,
    head: Head,
    tasks: VecDeque<EndedTask>,
    /// Their ids.
    known: BTreeSet<String>,
    /// Lines of the file below its head.
    lines: usize,
    /// Whether its last line has no end, as when the disk was full.
    is_torn: bool,
}

impl Remembered {
    /// What a file has of a deployment's tasks; a file that is not there yet is made.
    ///
    /// # Errors
    /// When it cannot be read or made, or is of something else: it is left as it is.
    pub fn open(file: &Path, of: Whose<'_>) -> Result<Self, String> {
        let wrong = |why: String| format!("--remember {}: {why}", file.display());
        let Whose { scaler, region, account } = of;
        let head = Head {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            scaler: scaler.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
        };
        let mut remembered = Self {
            file: file.to_owned(),
            head,
            tasks: VecDeque::new(),
            known: BTreeSet::new(),
            lines: 0,
            is_torn: false,
        };
        if fs::metadata(file).is_ok_and(|there| !there.is_file()) {
            return Err(wrong("it is no file; name another one".to_owned()));
        }
        let bytes = match fs::read(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|error| wrong(error.to_string()))?,
        };
        if bytes.is_empty() {
            remembered.append("").map_err(|error| wrong(error.to_string()))?;
        } else {
            // What was cut within a character is half a line, which is none.
            remembered.take(&String::from_utf8_lossy(&bytes)).map_err(wrong)?;
        }
        Ok(remembered)
    }

    fn take(&mut self, text: &str) -> Result<(), String> {
        let mut lines = text.lines();
        let head = lines.next().and_then(|line| serde_json::from_str::<Head>(line).ok());
        let head =
            head.ok_or("it is no file of --remember, and stays as it is; name another one")?;
        if head != self.head {
            return Err(format!(
                "it remembers tasks of {head}, and not of {}; name another file",
                self.head
            ));
        }
        for line in lines {
            self.lines = self.lines.saturating_add(1);
            // A line of which only half was written is none.
            if let Ok(task) = serde_json::from_str(line) {
                self.keep(task);
            }
        }
        self.is_torn = !text.ends_with('\n');
        Ok(())
    }

    fn keep(&mut self, task: EndedTask) {
        if self.known.insert(task.task.clone()) {
            self.tasks.push_back(task);
        }
        while MOST < self.tasks.len() {
            let Some(oldest) = self.tasks.pop_front() else { return };
            self.known.remove(&oldest.task);
        }
    }

    /// Whether a task is remembered, by its id.
    pub(super) fn has(&self, task: &str) -> bool {
        self.known.contains(task)
    }

    /// Remembers tasks.
    ///
    /// # Errors
    /// What somebody should know where they could not be written; they are to be added again.
    pub(super) fn add(&mut self, mut tasks: Vec<EndedTask>) -> Result<(), String> {
        tasks.retain(|task| !self.has(&task.task));
        tasks.sort_by_key(|task| task.stopped);
        let lines: Vec<_> = tasks.iter().map(|task| json!(task).to_string()).collect();
        let text = lines.join("\n") + "\n";
        let written = if tasks.is_empty() { Ok(()) } else { self.append(&text) };
        written
            .and_then(|()| {
                self.lines = self.lines.saturating_add(tasks.len());
                for task in tasks {
                    self.keep(task);
                }
                if MOST.saturating_mul(2) < self.lines { self.write_anew() } else { Ok(()) }
            })
            .map_err(|error| {
                format!("what ends badly is not remembered: {}: {error}", self.file.display())
            })
    }

    /// Those of a worker that ECS does not list any more.
    pub(super) fn before<'a>(
        &'a self,
        worker: &'a str,
        now: Timestamp,
    ) -> impl Iterator<Item = EndedTask> + 'a {
        let of_worker = self.tasks.iter().rev().filter(move |task| task.worker == worker);
        of_worker.filter(move |task| LISTED <= elapsed(task.stopped, now)).cloned()
    }

    /// Reasons are for nobody else to read. A file that somebody has emptied or taken away begins anew.
    fn append(&mut self, lines: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.file)?;
        let begin = match file.metadata()?.len() {
            0 => format!("{}\n", json!(self.head)),
            _ if self.is_torn => "\n".to_owned(),
            _ => String::new(),
        };
        self.is_torn = true;
        file.write_all(format!("{begin}{lines}").as_bytes())?;
        self.is_torn = false;
        Ok(())
    }

    /// Leaves out what is not kept any more.
    fn write_anew(&mut self) -> io::Result<()> {
        let lines = self.tasks.iter().map(|task| json!(task).to_string());
        let lines: Vec<_> = std::iter::once(json!(self.head).to_string()).chain(lines).collect();
        write_over(&self.file, (lines.join("\n") + "\n").as_bytes())?;
        self.lines = self.tasks.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(number: usize) -> EndedTask {
        let stopped = i64::try_from(number).map(Timestamp::from_second).unwrap().unwrap();
        let (worker, task) = ("a".to_owned(), number.to_string());
        EndedTask {
            worker,
            task,
            stopped,
            code: String::new(),
            reason: String::new(),
            exits: vec![],
        }
    }

    #[test]
    fn the_newest_are_kept_in_memory_and_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("remembered.jsonl");
        let of = Whose { scaler: "s", region: "r", account: "1" };
        let mut remembered = Remembered::open(&file, of).unwrap();
        let lines = || fs::read_to_string(&file).unwrap().lines().count();
        for round in 0..4 {
            remembered.add((0..MOST).map(|number| task(round * MOST + number)).collect()).unwrap();
            assert_eq!((remembered.tasks.len(), remembered.known.len()), (MOST, MOST));
            assert!(lines() <= 1 + 2 * MOST, "{}", lines());
        }
        remembered.add(vec![task(4 * MOST - 1), task(4 * MOST)]).unwrap();
        let ids = |it: &Remembered| it.tasks.iter().map(|it| it.task.clone()).collect::<Vec<_>>();
        let again = Remembered::open(&file, of).unwrap();
        assert_eq!(ids(&again), ids(&remembered));
        assert_eq!(ids(&again).last(), Some(&(4 * MOST).to_string()));
        assert_eq!(ids(&again).first(), Some(&(3 * MOST + 1).to_string()));
    }
}
