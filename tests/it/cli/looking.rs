//! A console that is looked at for hours, in virtual time: what goes wrong meanwhile, and that nobody reads too much,
//! keeps too much, or takes what is old for new.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::Write;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use decision::units::Messages;
use ecs_queue_scaler::aws::Tally;
use ecs_queue_scaler::cli::console::{About, Board, Guard, Reader, Routes, router};
use ecs_queue_scaler::cli::overview::History;
use ecs_queue_scaler::cli::reads::{Done, Reads, WasRead};
use ecs_queue_scaler::cli::status::{StatusView, Urgency, Waits};
use ecs_queue_scaler::cli::stop::ToStop;
use ecs_queue_scaler::cli::top::{Demo, Read};
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, StreamExt};
use http_body_util::{BodyExt, BodyStream};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

const KEY: &str = "00112233445566778899aabbccddeeff";

const HOUR: Duration = Duration::from_hours(1);

/// Calls of ECS that a refresh makes, and a look at one worker.
const OF_ALL: u64 = 30;
const OF_ONE: u64 = 7;

/// And a refresh of thousands of tasks.
const OF_MANY: u64 = 100;

/// What happens in an hour, again and again.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hour {
    Usual,
    /// ECS refuses some calls, as there are too many.
    Throttled,
    /// Nothing may be read.
    Denied,
    /// There is no configuration to go by.
    Failing,
    /// The clock has been set, forth and back.
    ClockSet,
    /// Nobody looks.
    Hidden,
    /// There are thousands of tasks.
    Many,
}

const HOURS: [Hour; 7] = [
    Hour::Usual,
    Hour::Throttled,
    Hour::Denied,
    Hour::ClockSet,
    Hour::Hidden,
    Hour::Failing,
    Hour::Many,
];

struct Account {
    begin: Instant,
    workers: usize,
    demo: RefCell<Demo>,
    /// When something was read, and how many calls of ECS that was.
    calls: RefCell<Vec<(Instant, u64)>>,
    /// When all workers were read so that something was known; and what waits for them.
    read: Cell<Option<Instant>>,
    counted: Cell<Option<Instant>>,
    /// Times that this was read alone.
    counts: Cell<usize>,
}

impl Account {
    fn hour(&self) -> Hour {
        let hours = self.begin.elapsed().as_secs() / 3600;
        HOURS[usize::try_from(hours).unwrap() % HOURS.len()]
    }

    /// What the clock says, which somebody sets.
    fn now(&self) -> Timestamp {
        let set = if self.hour() == Hour::ClockSet {
            let minute = self.begin.elapsed().as_secs() / 60 % 60;
            if minute < 30 { 3600 } else { -1800 }
        } else {
            0
        };
        let since = i64::try_from(self.begin.elapsed().as_secs()).unwrap();
        Timestamp::from_second(1_790_000_000 + since + set).unwrap()
    }

    fn view(&self) -> StatusView {
        let (mut view, _) = self.demo.borrow_mut().refresh();
        // A worker keeps its name, however urgent it is.
        let mut rows = view.workers.clone();
        rows.sort_by(|a, b| a.worker.cmp(&b.worker));
        let worker = |n: usize| {
            let mut row = rows[n % rows.len()].clone();
            row.worker = format!("{}-{n}", row.worker);
            if self.hour() == Hour::Denied {
                row.urgency = Urgency::Denied;
                (row.waiting, row.running, row.oldest_seconds) = (None, None, None);
            }
            row
        };
        view.workers = (0..self.workers).map(worker).collect();
        view.at = self.now().to_string();
        view
    }
}

impl Reads for Account {
    fn read(&self, read: Read) -> LocalBoxFuture<'_, WasRead> {
        async move {
            let hour = self.hour();
            sleep_until(Instant::now() + Duration::from_millis(300)).await;
            let calls = match &read {
                Read::All if hour == Hour::Many => OF_MANY,
                Read::All => OF_ALL,
                Read::Queues => 0,
                Read::Worker(_) | Read::Stop(_) => OF_ONE,
            };
            self.calls.borrow_mut().push((Instant::now(), calls));
            let failed = || "cannot read the configuration".to_owned();
            let done = match read {
                Read::All if hour == Hour::Failing => Done::Refreshed(Err(failed())),
                Read::All => {
                    self.read.set(Some(Instant::now()));
                    self.counted.set(Some(Instant::now()));
                    Done::Refreshed(Ok(Box::new(self.view())))
                }
                Read::Queues => {
                    self.counted.set(Some(Instant::now()));
                    self.counts.set(self.counts.get() + 1);
                    let rows = self.view().workers.into_iter();
                    let depths = rows.map(|row| {
                        let waits = row.waiting.zip(row.in_flight).map(|(waiting, in_flight)| {
                            Waits { waiting: Messages(waiting), in_flight: Messages(in_flight) }
                        });
                        (row.worker, waits)
                    });
                    Done::Counted(Ok(depths.collect()))
                }
                Read::Worker(name) if hour == Hour::Usual => {
                    let view = self.demo.borrow().worker("convert-documents").map(Box::new);
                    Done::Looked(name, view.ok_or_else(failed))
                }
                Read::Worker(name) => Done::Looked(name, Err(failed())),
                Read::Stop(target) => Done::Asked(target, Err(failed())),
            };
            let throttles = if hour == Hour::Throttled { 3 } else { 0 };
            let calls = [("DescribeTasks", calls)].into_iter().collect();
            WasRead { done, at: self.now(), tally: Tally { calls, throttles } }
        }
        .boxed_local()
    }

    fn stop(&self, _: ToStop) -> LocalBoxFuture<'_, Result<String, String>> {
        unreachable!()
    }
}

async fn live(router: &Router, worker: &str) -> BodyStream<Body> {
    let request = Request::builder()
        .uri(format!("/api/live?worker={worker}"))
        .header("host", "127.0.0.1:7788")
        .header("authorization", format!("Bearer {KEY}"));
    let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    BodyStream::new(answer.into_body())
}

/// What a page is told that begins now.
async fn whole(router: &Router) -> Value {
    let mut body = live(router, "").await;
    let frame = body.next().await.unwrap().unwrap().into_data().unwrap();
    let text = String::from_utf8(frame.to_vec()).unwrap();
    serde_json::from_str(text.lines().nth(1).unwrap().strip_prefix("data: ").unwrap()).unwrap()
}

fn megabytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1000
}

/// How long, and with how many.
#[derive(Clone, Copy, Debug)]
struct Size {
    hours: u64,
    workers: u64,
}

impl Size {
    #[expect(clippy::disallowed_methods, reason = "how much is tried is the caller's")]
    fn asked() -> Self {
        let number = |name: &str, usual: u64| {
            std::env::var(name).ok().map_or(usual, |number| number.parse().unwrap())
        };
        Self { hours: number("LOOKING_HOURS", 7), workers: number("LOOKING_WORKERS", 52) }
    }
}

/// Looks for so long; gives the memory at the end of each hour.
async fn looked(account: &Account, router: &Router, hours: u64) -> Vec<u64> {
    let mut memory = Vec::new();
    let mut page = Some(live(router, "convert-documents-0").await);
    for minute in 0..hours * 60 {
        let end = account.begin + Duration::from_mins(minute + 1);
        let is_hidden = account.hour() == Hour::Hidden;
        if is_hidden {
            page = None;
        } else if page.is_none() {
            page = Some(live(router, "convert-documents-0").await);
        }
        // A page reads what comes until the minute is over.
        while let Some(open) = &mut page {
            tokio::select! {
                frame = open.frame() => assert!(frame.unwrap().is_ok()),
                () = sleep_until(end) => break,
            }
        }
        sleep_until(end).await;
        if !is_hidden && account.hour() != Hour::Hidden {
            check(&whole(router).await["head"], account);
        }
        if minute % 60 == 59 {
            memory.push(megabytes());
        }
    }
    memory
}

/// `make soak-looking` for two days of 500 workers: more than 10,000 refreshes.
#[tokio::test(start_paused = true)]
async fn hours_of_looking_keep_the_rate_and_the_memory_and_say_how_old_all_is() {
    let size = Size::asked();
    let account = Account {
        begin: Instant::now(),
        workers: usize::try_from(size.workers).unwrap(),
        demo: RefCell::new(Demo::new(1)),
        calls: RefCell::default(),
        read: Cell::default(),
        counted: Cell::default(),
        counts: Cell::default(),
    };
    let about = About { run: "1".to_owned(), ..About::default() };
    let board = Board::new(about, History::default());
    let (sender, wishes) = unbounded_channel();
    let guard = Guard::with_key(KEY, vec![7788]).unwrap();
    let router = router(board.desk(sender), guard, Routes::default());
    let mut reader = Reader::new(board, &account, Duration::from_secs(5), wishes);
    let memory = tokio::select! {
        () = reader.run() => unreachable!("somebody may still wish for something"),
        memory = looked(&account, &router, size.hours) => memory,
    };
    let calls = account.calls.borrow();
    rate_is_kept(&calls);
    let in_hour = |hour: Hour| {
        let is_in = |at: &Instant| {
            let since = at.duration_since(account.begin).as_secs() / 3600;
            HOURS[usize::try_from(since).unwrap() % HOURS.len()] == hour
        };
        calls.iter().filter(|(at, calls)| is_in(at) && *calls == OF_ALL).count()
    };
    let times = usize::try_from(size.hours).unwrap() / HOURS.len();
    assert!(in_hour(Hour::Usual) > 400 * times, "{}", in_hour(Hour::Usual));
    assert!(in_hour(Hour::Hidden) <= 2 * times, "nobody looked: {}", in_hour(Hour::Hidden));
    for slow in [Hour::Throttled, Hour::Denied, Hour::Failing] {
        assert!((50..=80).contains(&(in_hour(slow) / times)), "{slow:?}: {}", in_hour(slow));
    }
    // Twenty seconds are paid for each read, and what waits is counted three times in between.
    let many = calls.iter().filter(|(_, calls)| *calls == OF_MANY).count() / times;
    assert!((150..=185).contains(&many), "{many}");
    let counts = account.counts.get() / times;
    assert!((2 * many..=3 * many).contains(&counts), "{counts} counts, {many} reads");
    let said = format!("{size:?}, {} reads; MB by the hour: {memory:?}\n", calls.len());
    std::io::stdout().write_all(said.as_bytes()).unwrap();
    // After the clock was set all rings are full: a usual hour has filled them before.
    let [_, _, _, full, .., last] = memory[..] else { panic!("{memory:?}") };
    assert!(last.saturating_sub(full) <= 10, "memory grows: {memory:?}");
}

/// What is old is said to be.
fn check(head: &Value, account: &Account) {
    let Some((read, counted)) = account.read.get().zip(account.counted.get()) else { return };
    let (said, is) = (head["ageSeconds"].as_u64().unwrap(), counted.elapsed().as_secs());
    assert!(said.abs_diff(is) <= 1, "{said} s are said, {is} s it is old");
    let (said, is) = (head["tasksAgeSeconds"].as_u64(), read.elapsed().as_secs());
    assert!(said.is_none_or(|said| said.abs_diff(is) <= 2), "{said:?} s are said, {is} s they are");
    assert!(said.is_some() || read == counted, "{head}");
    let is_failing = account.hour() == Hour::Failing && is > 70;
    assert!(!is_failing || head["failed"].is_string(), "{head}");
    let denied = head["totals"]["unread"] == head["totals"]["workers"];
    let settled = account.begin.elapsed().as_secs() % 3600 > 120;
    if settled && account.hour() == Hour::Denied {
        assert!(denied && head["totals"]["waiting"] == 0, "{head}");
    }
}

/// At most five a second, but for one read that is already out.
fn rate_is_kept(calls: &[(Instant, u64)]) {
    let mut first = 0;
    let mut sum = 0;
    for (at, made) in calls {
        sum += made;
        while Duration::from_mins(1) < at.duration_since(calls[first].0) {
            sum -= calls[first].1;
            first += 1;
        }
        assert!(sum <= 5 * 60 + OF_MANY, "{sum} calls in a minute");
    }
    assert!(calls.len() > 500, "{}", calls.len());
    let span = calls.last().unwrap().0.duration_since(calls[0].0);
    assert!(HOUR < span + Duration::from_mins(1));
}
