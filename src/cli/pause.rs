//! `pause` and `resume`: where a worker is described by its queue's tags, the tag; else the lines of the file.

use decision::config::{Config, Discover, Worker};
use decision::tags;
use jiff::Timestamp;

use super::deployment::{Deployment, worker_in};
use crate::aws::Aws;
use crate::run::Invocation;

/// The most characters of a tag's value. Source: SQS developer guide, "Tag restrictions".
const LONGEST_VALUE: usize = 256;

/// What a worker is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Paused until a time, or until it is resumed, and why.
    Paused {
        /// When it ends by itself.
        until: Option<Timestamp>,
        /// Why.
        why: Option<String>,
    },
    /// Served.
    Resumed,
}

/// A wish, and whose it is about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The worker.
    pub worker: &'a str,
    /// What it is to be.
    pub wish: &'a Wish,
}

/// What came of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// The tag says so now.
    Tagged(String),
    /// The file has to say so: lines to paste, and where.
    ToPaste {
        /// Where they go.
        hint: String,
        /// The lines.
        lines: String,
    },
}

impl Wish {
    /// The value of the tag. It has a bounded length and few characters.
    fn tag(&self) -> Result<Option<String>, String> {
        let Self::Paused { until, why } = self else { return Ok(None) };
        let until = until.map_or_else(|| "true".to_owned(), |until| until.to_string());
        let why = why.as_ref().map(|why| format!(" {why}")).unwrap_or_default();
        let value = format!("{until}{why}");
        if let Some(c) = value.chars().find(|c| !tags::is_legal(*c)) {
            return Err(format!(
                "a tag cannot have `{c}`: use letters, digits, spaces and _ . : / = + - @"
            ));
        }
        if LONGEST_VALUE < value.chars().count() {
            return Err(format!(
                "the reason is too long: a tag has {LONGEST_VALUE} characters at most"
            ));
        }
        Ok(Some(value))
    }

    /// The line of the file.
    fn line(&self) -> String {
        let Self::Paused { until, why } = self else { return String::new() };
        let quoted = |why: &String| serde_json::to_string(why).unwrap_or_default();
        match (until, why) {
            (None, None) => "    paused: true\n".to_owned(),
            (Some(until), None) => format!("    paused: {{until: {until}}}\n"),
            (None, Some(why)) => format!("    paused: {{why: {}}}\n", quoted(why)),
            (Some(until), Some(why)) => {
                format!("    paused: {{until: {until}, why: {}}}\n", quoted(why))
            }
        }
    }
}

/// Carries out a wish where it can be from outside.
///
/// # Errors
/// When there is no such worker, a tag cannot say it, or SQS refuses it.
pub async fn carry_out(
    deployment: &Deployment,
    aws: &Aws,
    asked: Asked<'_>,
    invocation: &Invocation,
) -> Result<Came, String> {
    let Asked { worker, wish } = asked;
    let in_force = deployment.scaler.config.current(&aws.read, invocation.now).await;
    let in_force = in_force.map_err(|error| error.to_string())?;
    let config: &Config = &in_force.config;
    let worker = worker_in(config, worker)?;
    match config.discover.as_ref().filter(|_| config.discovered.contains(&worker.name)) {
        Some(discover) => tag(aws, &worker, discover, wish).await.map(Came::Tagged),
        None => Ok(to_paste(&in_force.source, &worker, wish)),
    }
}

async fn tag(aws: &Aws, worker: &Worker, by: &Discover, wish: &Wish) -> Result<String, String> {
    let key = format!("{}:paused", by.tag);
    let value = wish.tag()?;
    let url = aws.read.queue_url(&worker.queue).await.map_err(|error| error.to_string())?;
    let done = match &value {
        Some(value) => aws.write.tag_queue(&url, &key, value).await,
        None => aws.write.untag_queue(&url, &key).await,
    };
    done.map_err(|error| error.to_string())?;
    let name = worker.queue.name();
    Ok(match value {
        Some(value) => format!("queue {name} has the tag {key}={value}"),
        None => format!("queue {name} has no tag {key}"),
    })
}

fn to_paste(source: &str, worker: &Worker, wish: &Wish) -> Came {
    let name = &worker.name;
    let hint = match wish {
        Wish::Paused { .. } => format!(
            "{name} is described by the configuration ({source}), which nobody writes from here: put this below its \
             name, and deploy it"
        ),
        Wish::Resumed => format!(
            "{name} is described by the configuration ({source}), which nobody writes from here: take `paused` out \
             of it, and deploy it"
        ),
    };
    Came::ToPaste { hint, lines: wish.line() }
}
