//! The configuration in force: read once, checked now and then, and kept as a whole while what
//! is newer cannot be used.

use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use decision::config::{Config, Discover, Document, Refused, TaggedQueue, document};

use super::{Source, SourceError, Text, Version};
use crate::aws::ReadCloud;

/// With a good one at hand, no call for a newer one starts later than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// The configuration of a process, and where it comes from.
#[derive(Debug)]
pub struct Current {
    source: Result<Source, SourceError>,
    state: Mutex<State>,
}

/// What a tick is to go by.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// Where it is from, as `SCALER_CONFIG` says it; never the YAML itself.
    pub source: String,
    /// Which version it is, where there are several.
    pub version: Option<String>,
    /// When its source answered the last time.
    pub checked: Option<Timestamp>,
    /// Why what is newer is not used.
    pub error: Option<String>,
    /// What its `discover` found.
    pub discovery: Option<Discovery>,
}

/// What `discover` found.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// Queues that carry the tag.
    pub queues: usize,
    /// When they were read with success.
    pub checked: Option<Timestamp>,
    /// Why they could not be read since.
    pub error: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct State {
    good: Option<Good>,
    /// The version of the source that cannot be used, and why.
    rejected: Option<(Version, String)>,
    /// Why the source, or what it newly discovers, could not be read.
    unread: Option<String>,
    /// When the source answered the last time.
    checked: Option<Timestamp>,
}

/// A configuration that can be used.
#[derive(Clone, Debug)]
struct Good {
    version: Version,
    /// What the discovered workers are added to.
    document: Arc<Document>,
    config: Arc<Config>,
    /// Whether a worker of the document has a mistake.
    is_flawed: bool,
    found: Option<Found>,
}

/// The queues that were discovered.
#[derive(Clone, Debug)]
struct Found {
    by: Discover,
    queues: Arc<Vec<TaggedQueue>>,
    checked: Option<Timestamp>,
    error: Option<String>,
}

impl Current {
    /// Nothing yet; the first tick reads it.
    pub fn new(source: Result<Source, SourceError>) -> Self {
        Self { source, state: Mutex::default() }
    }

    /// The configuration for a tick of now. Its source is checked first, where that is due.
    ///
    /// # Errors
    /// When there is none at all. The next tick tries again.
    pub async fn current(&self, cloud: &ReadCloud, now: Timestamp) -> Result<InForce, SourceError> {
        let source = self.source.as_ref().map_err(Clone::clone)?;
        let mut state = self.state().clone();
        let cloud = match &state.good {
            Some(_) => &cloud.until(Instant::now() + PATIENCE),
            None => cloud,
        };
        let candidate = state.read(source, cloud, now).await?;
        state.discover(candidate, cloud, now).await?;
        let in_force = state.in_force(source);
        *self.state() = state;
        in_force.ok_or_else(|| SourceError::Unread(source.to_string()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is to be in force instead of the good one, when the source has it.
    async fn read(
        &mut self,
        source: &Source,
        cloud: &ReadCloud,
        now: Timestamp,
    ) -> Result<Option<Good>, SourceError> {
        if !self.is_due(source, now) {
            return Ok(None);
        }
        let rejected = self.rejected.as_ref().map(|(version, _)| version);
        let known = rejected.or(self.good.as_ref().map(|good| &good.version));
        let text = match (source.read(cloud, known).await, &self.good) {
            (Err(error), Some(_)) => {
                self.unread = Some(error.to_string());
                return Ok(None);
            }
            (text, _) => text?,
        };
        self.checked = Some(now);
        self.unread = None;
        let Some(text) = text else { return Ok(None) };
        self.rejected = None;
        let version = text.version.clone();
        match (Good::parse(&source.in_messages(), text), &self.good) {
            (_, Some(good)) if good.version == version => Ok(None),
            (Err(error), Some(_)) => {
                self.rejected = Some((version, error.to_string()));
                Ok(None)
            }
            (Ok(newer), Some(good)) if newer.is_flawed && !good.is_flawed => {
                self.rejected = Some((version, mistakes(&newer.config.refused)));
                Ok(None)
            }
            (newer, _) => newer.map(Some),
        }
    }

    fn is_due(&self, source: &Source, now: Timestamp) -> bool {
        let Some(good) = &self.good else { return true };
        let is_in_trouble = self.unread.is_some() || self.rejected.is_some();
        source.is_free_to_ask() || is_in_trouble || is_old(self.checked, good.config.refresh, now)
    }

    /// Finds the queues of what is to be in force, and puts it there.
    async fn discover(
        &mut self,
        newer: Option<Good>,
        cloud: &ReadCloud,
        now: Timestamp,
    ) -> Result<(), SourceError> {
        let is_newer = newer.is_some();
        let Some(mut next) = newer.or_else(|| self.good.clone()) else { return Ok(()) };
        let Some(by) = next.config.discover.clone() else {
            self.good = Some(next);
            return Ok(());
        };
        let before = self.good.as_ref().and_then(|good| good.found.clone());
        let before = before.filter(|found| found.by == by);
        let refresh = next.config.refresh;
        let found = match before {
            Some(found) if found.error.is_none() && !is_old(found.checked, refresh, now) => found,
            before => match (cloud.tagged_queues(&by).await, before) {
                (Ok(queues), _) => {
                    Found { by, queues: Arc::new(queues), checked: Some(now), error: None }
                }
                (Err(error), Some(found)) => Found { error: Some(error.to_string()), ..found },
                // What discovers in another way is good only with what it discovers.
                (Err(error), None) if is_newer && self.good.is_some() => {
                    self.unread = Some(error.to_string());
                    return Ok(());
                }
                (Err(error), None) => Found {
                    by,
                    queues: Arc::default(),
                    checked: None,
                    error: Some(error.to_string()),
                },
            },
        };
        let known = next.found.as_ref().map(|found| &found.queues);
        if known != Some(&found.queues) {
            next.config = Arc::new(Config::with_discovered(&next.document, &found.queues)?);
        }
        next.found = Some(found);
        self.good = Some(next);
        Ok(())
    }

    fn in_force(&self, source: &Source) -> Option<InForce> {
        let good = self.good.as_ref()?;
        let name = |version: &Version| match &version.name {
            Some(name) => format!("version {name}"),
            None => "what was read before".to_owned(),
        };
        let stays = format!("{} stays in force", name(&good.version));
        let unread = self.unread.as_ref().map(|why| format!("{why}; {stays}"));
        let rejected = self.rejected.as_ref();
        let rejected = rejected
            .map(|(version, why)| format!("{} cannot be used, {stays}: {why}", name(version)));
        Some(InForce {
            config: good.config.clone(),
            source: source.to_string(),
            version: good.version.name.clone(),
            checked: self.checked,
            error: unread.or(rejected),
            discovery: good.found.as_ref().map(|found| Discovery {
                queues: found.queues.len(),
                checked: found.checked,
                error: found.error.clone(),
            }),
        })
    }
}

impl Good {
    fn parse(source: &str, Text { version, text }: Text) -> Result<Self, SourceError> {
        let document = document(source, &text)?;
        let config = Config::of(&document)?;
        // Only discovery needs it again.
        let document = if config.discover.is_some() { document } else { Document::default() };
        Ok(Self {
            version,
            document: Arc::new(document),
            is_flawed: !config.refused.is_empty(),
            config: Arc::new(config),
            found: None,
        })
    }
}

/// A time that is not there yet is of a clock that was set back since: nobody knows how old that is.
fn is_old(checked: Option<Timestamp>, refresh: Duration, now: Timestamp) -> bool {
    let age = checked.and_then(|checked| Duration::try_from(now.duration_since(checked)).ok());
    age.is_none_or(|age| refresh <= age)
}

/// The first mistakes; a document with a thousand broken workers is known by ten of them.
fn mistakes(refused: &[Refused]) -> String {
    const MOST: usize = 10;
    let all = refused.iter().flat_map(|worker| &worker.problems);
    let mut text = String::new();
    for problem in all.clone().take(MOST) {
        let _ = write!(text, "; {problem}");
    }
    let more: usize = all.skip(MOST).map(|problem| problem.count).sum();
    if 0 < more {
        let _ = write!(text, "; and {more} more");
    }
    text.trim_start_matches("; ").to_owned()
}
