//! When a call may go out: with a permit under the rate of its API, again after a failure that passes,
//! and never when the tick's time is up. The only retry layer: the SDK's own is turned off, because
//! it knows neither the rates nor the deadline.

use std::collections::BTreeMap;
use std::error::Error;
#[cfg(feature = "cli")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use jiff::Timestamp;
use leaky_bucket::RateLimiter;
#[cfg(feature = "cli")]
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::unusable::Unusable;
use super::words::Words;
use super::{call_error, chain};
use decision::refusal::Cause;
use decision::snapshot::{CallError, ErrorKind};
use decision::units::elapsed;

/// One call and two repetitions.
const ATTEMPTS: u32 = 3;

/// Calls that have no token which would make the second the same as the first.
const WITHOUT_TOKEN: [&str; 3] = ["RegisterTaskDefinition", "StartTask", "Invoke"];

/// The first repetition waits for a random part of this, the second for one of its double.
const BACKOFF: Duration = Duration::from_millis(400);

/// We stay a little under the rates, as our clock and AWS's do not tick alike: two seconds in a
/// thousand are far more than clocks differ by.
const SHARE: f64 = 0.998;

/// How often a rate's permits are handed out, where it has as many.
const STEPS_A_SECOND: u32 = 4;

/// The rates that AWS documents for an account and Region, each shared by several APIs. Others
/// take from them too, so that a call may still be throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rate {
    /// SQS, SSM, S3, Auto Scaling, queues' tags: none that a tick could reach.
    Free,
    /// "Task definition read"
    DefinitionRead,
    /// "Task definition modify"
    DefinitionChange,
    /// "Cluster resource read"
    ClusterRead,
    /// "Cluster resource modify"
    ClusterChange,
    /// "Tag modify"
    TagChange,
    /// Tasks on Fargate On-Demand.
    OnDemandTasks,
    /// Tasks on Fargate Spot.
    SpotTasks,
    /// `RunTask` calls on Fargate.
    FargateCalls,
}

impl Rate {
    const ALL: [Self; 9] = [
        Self::Free,
        Self::DefinitionRead,
        Self::DefinitionChange,
        Self::ClusterRead,
        Self::ClusterChange,
        Self::TagChange,
        Self::OnDemandTasks,
        Self::SpotTasks,
        Self::FargateCalls,
    ];

    /// How many at once, and how many a second.
    /// Source: ECS API reference, "Request throttling for the Amazon ECS API"; ECS developer guide,
    /// "AWS Fargate throttling quotas".
    fn burst_and_per_second(self) -> Option<(u32, u32)> {
        match self {
            Self::Free => None,
            Self::DefinitionRead => Some((50, 20)),
            Self::DefinitionChange => Some((20, 1)),
            Self::ClusterChange => Some((100, 40)),
            Self::TagChange => Some((20, 10)),
            Self::ClusterRead | Self::OnDemandTasks | Self::SpotTasks => Some((100, 20)),
            Self::FargateCalls => Some((20, 20)),
        }
    }

    /// With so many permits at once, where that is less than the burst.
    fn limiter(self, left: usize) -> Option<RateLimiter> {
        let (burst, per_second) = self.burst_and_per_second()?;
        // What changes something goes out one less at once: what we take first may reach AWS later
        // than what we take next. A read that is refused costs nothing but its repetition.
        let reads = self.is_of_reads();
        let burst = usize::try_from(burst.saturating_sub(u32::from(!reads))).unwrap_or(usize::MAX);
        // Timers count in milliseconds: of short waits that would be a part that matters.
        let refill = (per_second / STEPS_A_SECOND).max(1);
        let interval = Duration::from_secs_f64(f64::from(refill) / (f64::from(per_second) * SHARE));
        let refill = usize::try_from(refill).unwrap_or(1);
        let mut limiter = RateLimiter::builder();
        limiter.max(burst).initial(burst.min(left)).refill(refill).interval(interval).fair(true);
        Some(limiter.build())
    }

    /// Whether it is one of what only reads.
    fn is_of_reads(self) -> bool {
        matches!(self, Self::DefinitionRead | Self::ClusterRead)
    }

    /// Half of what may be read at once, less what comes at a time meanwhile; and all of the others.
    fn half(self) -> usize {
        let (burst, per_second) = self.burst_and_per_second().unwrap_or_default();
        let half = (burst / 2).saturating_sub(per_second / STEPS_A_SECOND);
        if self.is_of_reads() { usize::try_from(half).unwrap_or_default() } else { usize::MAX }
    }

    /// The permits that come in this time.
    fn permits_in(self, time: Duration) -> usize {
        let (_, per_second) = self.burst_and_per_second().unwrap_or_default();
        let permits = time.mul_f64(f64::from(per_second) * SHARE).as_secs();
        usize::try_from(permits).unwrap_or(usize::MAX)
    }
}

/// What a call is, for its messages and for its permit.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    /// The API's name of the call.
    pub(super) operation: &'static str,
    /// What it is about.
    pub(super) subject: &'a str,
    /// What it takes from.
    pub(super) rate: Rate,
}

impl About<'_> {
    /// What we ourselves have to say of the call; AWS's own errors come by `call_error`.
    pub(super) fn error(self, message: impl Into<String>, kind: ErrorKind) -> CallError {
        CallError {
            operation: self.operation,
            subject: self.subject.to_owned(),
            code: None,
            message: message.into(),
            request_id: None,
            kind,
        }
    }
}

/// The rates of one process, and the time and the tally of one tick.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    permits: Arc<Permits>,
    /// Those of the newest tick of the process.
    newest: Arc<Mutex<Arc<Permits>>>,
    tally: Arc<Mutex<Tally>>,
    no_call_after: Option<Instant>,
    #[cfg(feature = "cli")]
    halt: Halt,
    /// What of AWS's own words may be shown.
    pub(super) words: Words,
}

/// The permits of one tick. The limiters go by the monotonic clock, which stands still while the process is
/// frozen: each tick has its own, with what the last one has left and what has come since by the wall
/// clock.
#[derive(Debug)]
struct Permits {
    of_rates: Vec<OfRate>,
    /// When the tick began, by both clocks; none before the first one.
    began: Option<(Timestamp, Instant)>,
    /// Whether the first tick finds half of what may be read at once.
    is_half: bool,
}

/// The permits of one rate; none where it has no bound.
#[derive(Debug)]
struct OfRate {
    rate: Rate,
    limiter: Option<RateLimiter>,
    /// When the last one was taken.
    taken: Mutex<Option<Instant>>,
}

/// Whether a person wants no further call to be started. Its clones are the same one.
#[cfg(feature = "cli")]
#[derive(Clone, Debug, Default)]
pub struct Halt(Arc<(AtomicBool, Notify)>);

#[cfg(feature = "cli")]
impl Halt {
    /// From now on.
    pub fn set(&self) {
        self.0.0.store(true, Ordering::SeqCst);
        self.0.1.notify_waiters();
    }

    /// Whether it is so.
    pub fn is_set(&self) -> bool {
        self.0.0.load(Ordering::SeqCst)
    }

    /// Waits until it is so.
    async fn wait(&self) {
        let mut set = std::pin::pin!(self.0.1.notified());
        // Whoever sets it from here on is heard.
        set.as_mut().enable();
        if !self.is_set() {
            set.await;
        }
    }
}

/// Calls to AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls by the API's name, repetitions included.
    pub calls: BTreeMap<&'static str, u64>,
    /// Answers that throttled a call, whether it was repeated or not.
    pub throttles: u64,
}

impl Default for Permits {
    fn default() -> Self {
        let of_rates = Rate::ALL.into_iter().map(|rate| OfRate::new(rate, usize::MAX));
        Self { of_rates: of_rates.collect(), began: None, is_half: false }
    }
}

impl Permits {
    /// Those of a tick that begins now.
    fn after(&self, now: Timestamp) -> Self {
        let first = |last: &OfRate| if self.is_half { last.rate.half() } else { usize::MAX };
        let left = |last: &OfRate| match self.began {
            Some((began, monotonic)) => last.left(began, monotonic, now),
            None => first(last),
        };
        let of_rates = self.of_rates.iter().map(|last| OfRate::new(last.rate, left(last)));
        Self { of_rates: of_rates.collect(), began: Some((now, Instant::now())), ..*self }
    }

    /// Waits for so many permits.
    async fn take(&self, rate: Rate, permits: usize) {
        let Some(of_rate) = self.of_rates.iter().find(|of| of.rate == rate) else { return };
        let Some(limiter) = &of_rate.limiter else { return };
        limiter.acquire(permits.min(limiter.max())).await;
        *of_rate.taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

impl OfRate {
    fn new(rate: Rate, left: usize) -> Self {
        Self { rate, limiter: rate.limiter(left), taken: Mutex::default() }
    }

    /// What is left by now, after a tick that began then by both clocks.
    fn left(&self, began: Timestamp, monotonic: Instant, now: Timestamp) -> usize {
        let taken = *self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let into_tick = taken.unwrap_or(monotonic).saturating_duration_since(monotonic);
        // A clock that was set back gives no permit.
        let since = elapsed(began.saturating_add(into_tick).unwrap_or(began), now);
        let came = self.rate.permits_in(since);
        self.limiter.as_ref().map_or(0, RateLimiter::balance).saturating_add(came)
    }
}

impl Pace {
    /// The same rates for a new tick, which begins now.
    pub(super) fn of_tick(&self, now: Timestamp) -> Self {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = Arc::new(newest.after(now));
        let (permits, newest) = (newest.clone(), self.newest.clone());
        Self {
            permits,
            newest,
            tally: Arc::default(),
            no_call_after: None,
            #[cfg(feature = "cli")]
            halt: self.halt.clone(),
            words: self.words.clone(),
        }
    }

    /// The same for what starts no call after this, nor after what is set already.
    pub(super) fn until(&self, end: Instant) -> Self {
        let end = self.no_call_after.map_or(end, |earlier| earlier.min(end));
        Self { no_call_after: Some(end), ..self.clone() }
    }

    /// The same for a terminal, which leaves half of what may be read at once to the function.
    #[cfg(feature = "cli")]
    pub(super) fn of_terminal(&self) -> Self {
        let newest = Arc::new(Permits { is_half: true, ..Permits::default() });
        Self { permits: newest.clone(), newest: Arc::new(Mutex::new(newest)), ..self.clone() }
    }

    /// The same for what a person may halt.
    #[cfg(feature = "cli")]
    pub(super) fn with_halt(&self, halt: Halt) -> Self {
        Self { halt, ..self.clone() }
    }

    /// The calls that the tick has made so far.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for so many permits.
    ///
    /// # Errors
    /// When the time is up before they come.
    pub(super) async fn wait_for(&self, about: About<'_>, permits: usize) -> Result<(), CallError> {
        if self.no_call_after.is_some_and(|end| end <= Instant::now()) {
            return Err(out_of_time(about));
        }
        let permits = self.permits.take(about.rate, permits);
        #[cfg(feature = "cli")]
        let permits = async {
            tokio::select! {
                biased;
                () = self.halt.wait() => Err(halted(about)),
                () = permits => Ok(()),
            }
        };
        #[cfg(not(feature = "cli"))]
        let permits = async {
            permits.await;
            Ok(())
        };
        match self.no_call_after {
            Some(end) => timeout_at(end, permits).await.map_err(|_| out_of_time(about))?,
            None => permits.await,
        }
    }

    fn count(&self, operation: &'static str) {
        let mut tally = self.tally();
        let calls = tally.calls.entry(operation).or_default();
        *calls = calls.saturating_add(1);
    }

    /// Sends a call when there is a permit, and again after a failure that may have passed by then:
    /// throttling, and no usable answer where repeating the call does no harm.
    ///
    /// # Errors
    /// What went wrong the last time.
    pub(super) async fn call<T, E>(
        &self,
        about: About<'_>,
        send: impl AsyncFn() -> Result<T, SdkError<E>>,
    ) -> Result<T, GaveUp<E>>
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        self.call_with_permits(about, &[], send).await
    }

    /// Sends a call for page after page, at most so many, and gives what is on them.
    ///
    /// # Errors
    /// When a page is missing.
    pub(super) async fn pages<T, E>(
        &self,
        about: About<'_>,
        most: usize,
        send: impl AsyncFn(Option<String>) -> Result<Page<T>, SdkError<E>>,
    ) -> Result<Vec<T>, CallError>
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let (mut all, mut token) = (Vec::new(), None);
        for _ in 0..most {
            let page = self.call(about, async || send(token.clone()).await).await;
            let (listed, next) = page.map_err(|error| error.into_call_error(about))?;
            all.extend(listed.unwrap_or_default());
            token = next;
            if token.is_none() {
                break;
            }
        }
        Ok(all)
    }

    fn gave_up<E>(&self, last: SdkOrTime<E>, unanswered: bool) -> GaveUp<E> {
        GaveUp { last, unanswered, words: self.words.clone() }
    }

    /// As [`Pace::call`], for a call that takes from other rates beside its own, at each of its attempts.
    ///
    /// # Errors
    /// What went wrong the last time.
    pub(super) async fn call_with_permits<T, E>(
        &self,
        about: About<'_>,
        others: &[(Rate, usize)],
        send: impl AsyncFn() -> Result<T, SdkError<E>>,
    ) -> Result<T, GaveUp<E>>
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let mut attempt = 1;
        let mut unanswered = false;
        loop {
            for (rate, permits) in others.iter().copied().chain([(about.rate, 1)]) {
                if let Err(error) = self.wait_for(About { rate, ..about }, permits).await {
                    return Err(self.gave_up(SdkOrTime::Time(error), unanswered));
                }
            }
            self.count(about.operation);
            let error = match send().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if is_throttled(&error) {
                let mut tally = self.tally();
                tally.throttles = tally.throttles.saturating_add(1);
            }
            let kind = kind_of(&error);
            unanswered |= kind == ErrorKind::Unanswered;
            let passes = match kind {
                ErrorKind::Later => true,
                ErrorKind::Unanswered => !WITHOUT_TOKEN.contains(&about.operation),
                ErrorKind::Refused | ErrorKind::OutOfTime => false,
            };
            if !passes || attempt == ATTEMPTS {
                return Err(self.gave_up(SdkOrTime::Sdk(error), unanswered));
            }
            pause(BACKOFF.saturating_mul(attempt)).await;
            attempt = attempt.saturating_add(1);
        }
    }
}

/// What is on a page, and what the next one is asked for with, if there is one.
pub(super) type Page<T> = (Option<Vec<T>>, Option<String>);

/// A call that gave nothing, after all its attempts.
pub(super) struct GaveUp<E> {
    /// What the last attempt ended with.
    pub(super) last: SdkOrTime<E>,
    /// Whether any attempt may have been executed: its answer is missing.
    unanswered: bool,
    words: Words,
}

/// Why an attempt gave nothing.
pub(super) enum SdkOrTime<E> {
    /// As the SDK says it.
    Sdk(SdkError<E>),
    /// The time was up before it could be sent.
    Time(CallError),
}

impl<E: Error + ProvideErrorMetadata + 'static> GaveUp<E> {
    /// As far as it may be shown.
    pub(super) fn into_call_error(self, about: About<'_>) -> CallError {
        let error = match self.last {
            SdkOrTime::Sdk(error) => call_error(about, &error, &self.words),
            SdkOrTime::Time(error) => error,
        };
        let kind = if self.unanswered { ErrorKind::Unanswered } else { error.kind };
        CallError { kind, ..error }
    }
}

/// Full jitter: callers that were refused together do not come back together.
#[expect(clippy::disallowed_methods, reason = "between two attempts there is nothing else to do")]
async fn pause(longest: Duration) {
    tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
}

#[cfg(feature = "cli")]
fn halted(about: About<'_>) -> CallError {
    about.error("interrupted: it was not called", ErrorKind::OutOfTime)
}

fn out_of_time(about: About<'_>) -> CallError {
    let message = "it was not called: the time for it is up (of an invocation less than deadlineMargin is \
                   left; the next tick goes on)";
    about.error(message, ErrorKind::OutOfTime)
}

fn cause<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Cause {
    Cause::of_error(error.code().unwrap_or_default(), error.message().unwrap_or_default())
}

fn is_throttled<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    status == Some(429) || cause(error) == Cause::Throttled
}

/// Whether a call was not sent for want of credentials.
fn is_unsigned(error: &dyn Error) -> bool {
    chain(error).contains("credentials")
}

/// What an error says about the call.
pub(super) fn kind_of<E>(error: &SdkError<E>) -> ErrorKind
where
    E: Error + ProvideErrorMetadata + 'static,
{
    if Unusable::in_error(error).is_some_and(|unusable| unusable.is_foreign()) {
        return ErrorKind::Refused;
    }
    match error {
        // Nothing was done; from the answer to a wrong clock the SDK takes the right time.
        SdkError::ServiceError(_) if is_throttled(error) || cause(error) == Cause::Clock => {
            ErrorKind::Later
        }
        SdkError::ServiceError(service)
            if 500 <= service.raw().status().as_u16() || cause(error) == Cause::ServerFault =>
        {
            ErrorKind::Unanswered
        }
        // Whatever ends a call on its way may end it on its way back: a connection that is closed
        // before the answer is of no kind that the SDK knows.
        SdkError::DispatchFailure(failure) if !(failure.is_user() || is_unsigned(error)) => {
            ErrorKind::Unanswered
        }
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => ErrorKind::Unanswered,
        _ => ErrorKind::Refused,
    }
}
