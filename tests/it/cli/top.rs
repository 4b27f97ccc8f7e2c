//! `queue-scaler top` on terminals that are none: what is drawn, and what keys do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ecs_queue_scaler::cli::overview::{History, KEPT, Overview, Past, Point, Totals};
use ecs_queue_scaler::cli::status::{Row, StatusView, TaskRow, Urgency};
use ecs_queue_scaler::cli::top::{Demo, Look, Read, Reading, Screen, Target, Wish};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{
    KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::style::Color;

fn pressed(screen: &mut Screen, code: KeyCode) -> Option<Wish> {
    screen.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn typed(screen: &mut Screen, text: &str) {
    for c in text.chars() {
        assert_eq!(pressed(screen, KeyCode::Char(c)), None, "{text}");
    }
}

/// Two hours of the day.
fn after(refreshes: usize, look: Look, may_stop: bool) -> (Screen, Demo) {
    let (mut screen, mut demo) = (Screen::new(look, may_stop, History::default()), Demo::new(1));
    for _ in 0..refreshes {
        let (view, at) = demo.refresh();
        screen.refreshed(view, at);
    }
    let pause = Duration::from_secs(5);
    let reading = Reading { calls_of_ecs: 4, calls_of_sqs: 52, queues: 52, pause, between: pause };
    screen.reads(reading, Duration::from_secs(1));
    (screen, demo)
}

fn terminal(screen: &Screen, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen.clone().draw(frame)).unwrap();
    terminal
}

fn drawn(screen: &Screen, width: u16, height: u16) -> String {
    let terminal = terminal(screen, width, height);
    let lines = terminal.backend().buffer().content().chunks(usize::from(width));
    let lines = lines.map(|cells| {
        let line: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn all_workers_are_on_a_screen_of_any_size() {
    let (screen, _) = after(360, Look { colors: true, ..Look::default() }, false);
    for (width, height) in [(20, 5), (60, 15), (80, 24), (100, 17), (120, 40), (200, 60)] {
        insta::assert_snapshot!(format!("{width}x{height}"), drawn(&screen, width, height));
    }
    let page = drawn(&screen, 100, 17);
    assert!(include_str!("../../../docs/cli.md").contains(&page), "{page}");
    let (plain, _) = after(360, Look { ascii: true, ..Look::default() }, false);
    let text = drawn(&plain, 120, 40);
    assert!(text.is_ascii(), "{text}");
    let (mut named, mut demo) = after(3, Look { ascii: true, ..Look::default() }, false);
    let (mut view, at) = demo.refresh();
    "名前 e\u{301}".clone_into(&mut view.workers[0].worker);
    named.refreshed(view, at);
    assert!(drawn(&named, 120, 60).is_ascii(), "names are other people's");
    insta::assert_snapshot!("ascii", text);
}

#[test]
fn colours_are_seen_where_they_are_wanted_and_say_nothing_that_words_do_not() {
    let colors = |colors: bool| {
        let (screen, _) = after(360, Look { colors, ..Look::default() }, false);
        let terminal = terminal(&screen, 120, 40);
        let cells = terminal.backend().buffer().content().iter();
        cells.map(|cell| cell.fg).collect::<Vec<_>>()
    };
    assert!(colors(true).contains(&Color::Red));
    assert!(colors(false).iter().all(|color| *color == Color::Reset));
}

#[test]
fn before_anything_was_read_it_says_so() {
    let mut screen = Screen::new(Look::default(), false, History::default());
    assert!(drawn(&screen, 80, 24).starts_with("reading all workers"));
    assert_eq!(pressed(&mut screen, KeyCode::Enter), None);
    screen.failed("no AWS credentials: set AWS_PROFILE", Timestamp::UNIX_EPOCH);
    assert!(drawn(&screen, 80, 24).ends_with("no AWS credentials: set AWS_PROFILE"));
    assert_eq!(pressed(&mut screen, KeyCode::Char('q')), Some(Wish::Quit));
}

#[test]
fn a_mouse_chooses_and_opens_and_answers_no_question() {
    let (mut screen, _) = after(360, Look::default(), false);
    let mut shown = Terminal::new(TestBackend::new(120, 14)).unwrap();
    let mut mouse = |screen: &mut Screen, kind, row| {
        shown.draw(|frame| screen.draw(frame)).unwrap();
        screen.mouse(MouseEvent { kind, column: 9, row, modifiers: KeyModifiers::NONE })
    };
    let chosen = |screen: &Screen| {
        let text = drawn(screen, 120, 14);
        let line = text.lines().find(|line| line.starts_with('>')).unwrap();
        line.trim_start_matches('>').split(' ').next().unwrap().to_owned()
    };
    let click = MouseEventKind::Down(MouseButton::Left);
    let line = |screen: &Screen, row: usize| {
        let text = drawn(screen, 120, 14);
        text.lines().nth(row).unwrap().trim_start_matches(['>', ' ']).to_owned()
    };
    let third = line(&screen, 4);
    assert_eq!(mouse(&mut screen, click, 4), None);
    assert!(third.starts_with(&chosen(&screen)), "{third}");
    for _ in 0..30 {
        assert_eq!(mouse(&mut screen, MouseEventKind::ScrollDown, 4), None);
    }
    // The last one is chosen, others have gone above: a click still hits what is seen.
    let seen = line(&screen, 3);
    assert_eq!(mouse(&mut screen, click, 3), None);
    let name = chosen(&screen);
    assert!(seen.starts_with(&name), "{seen} {name}");
    for row in [0, 1, 12, 13, 99] {
        assert_eq!(mouse(&mut screen, click, row), None, "{row}: head, detail, foot");
        assert_eq!(chosen(&screen), name);
    }
    let again = (2..9).find(|row| line(&screen, *row).starts_with(&name)).unwrap();
    let opened = mouse(&mut screen, click, u16::try_from(again).unwrap());
    assert_eq!(opened, Some(Wish::Read(Read::Worker(name))));
}

#[test]
fn keys_choose_filter_and_sort() {
    let (mut screen, _) = after(360, Look::default(), false);
    let rows = |screen: &Screen| {
        let text = drawn(screen, 120, 60);
        let rows = text.lines().skip(2).take_while(|line| !line.is_empty());
        let names = rows
            .map(|row| row.trim_start_matches(['>', ' ']).split(' ').next().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let busy = rows(&screen);
    typed(&mut screen, "a");
    let all = rows(&screen);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 52);
    assert!(busy.len() < 52 && busy == all[..busy.len()], "idle ones come last: {all:?}");

    typed(&mut screen, "/state:pau");
    assert_eq!(rows(&screen).len(), 1);
    assert_eq!(pressed(&mut screen, KeyCode::Esc), None);
    typed(&mut screen, "/>50");
    assert_eq!(pressed(&mut screen, KeyCode::Enter), None);
    let many = rows(&screen);
    assert!(!many.is_empty() && many.len() < busy.len());
    typed(&mut screen, "ss");
    let by_waiting = rows(&screen);
    assert!(many != by_waiting && drawn(&screen, 120, 60).contains("WAITING*"));
    typed(&mut screen, "S");
    assert_eq!(rows(&screen), by_waiting.into_iter().rev().collect::<Vec<_>>());
    assert!(drawn(&screen, 120, 60).contains("WAITING^"));
    typed(&mut screen, "a");
    assert_eq!(pressed(&mut screen, KeyCode::Esc), None);
    assert_eq!(rows(&screen).last().unwrap(), "ocr-documents", "what is not known comes last");
    typed(&mut screen, "/>1,0");
    assert_eq!(pressed(&mut screen, KeyCode::Enter), None);
    let some = rows(&screen).len();
    typed(&mut screen, "/x");
    assert!(drawn(&screen, 120, 60).contains("no worker is meant"), "{some}");
    for _ in 0..5 {
        assert_eq!(pressed(&mut screen, KeyCode::Backspace), None);
    }
    assert_eq!(pressed(&mut screen, KeyCode::Enter), None);
    typed(&mut screen, "/>50");
    assert_eq!(pressed(&mut screen, KeyCode::Enter), None);
    assert_eq!(pressed(&mut screen, KeyCode::Esc), None, "takes the filter away");
    typed(&mut screen, "/no such worker");
    assert!(drawn(&screen, 120, 60).contains("no worker is meant by this filter"));
    typed(&mut screen, "q");
    assert_eq!(pressed(&mut screen, KeyCode::Backspace), None);
}

/// Whoever looks at a row goes on looking at it, wherever it goes.
#[test]
fn the_chosen_worker_stays_chosen() {
    let (mut screen, mut demo) = after(360, Look::default(), false);
    typed(&mut screen, "jjj");
    let row = |screen: &Screen| {
        let text = drawn(screen, 120, 60);
        let (at, row) = text.lines().enumerate().find(|(_, line)| line.starts_with('>')).unwrap();
        (at, row.trim_start_matches('>').split(' ').next().unwrap().to_owned())
    };
    let (before, worker) = row(&screen);
    let (mut view, at) = demo.refresh();
    let first = view.workers.iter_mut().find(|row| row.worker == worker).unwrap();
    (first.urgency, first.oldest_seconds) = (Urgency::Denied, Some(1_000_000));
    screen.refreshed(view.clone(), at);
    let (after, still) = row(&screen);
    assert!(still == worker && after < before, "{before} {after}");
    assert_eq!(pressed(&mut screen, KeyCode::Char('c')), Some(Wish::Copy(worker.clone())));
    view.workers.retain(|row| row.worker != worker);
    screen.refreshed(view, at);
    assert_ne!(row(&screen).1, worker, "of one that is gone the first has the mark");
}

/// The screen of a worker with several tasks.
fn closely(may_stop: bool) -> (Screen, Demo, String) {
    let (mut screen, demo) = after(366, Look::default(), may_stop);
    typed(&mut screen, "/state:AT CAP");
    assert_eq!(pressed(&mut screen, KeyCode::Enter), None);
    let wish = pressed(&mut screen, KeyCode::Enter);
    let Some(Wish::Read(Read::Worker(worker))) = wish else { panic!("{wish:?}") };
    assert_eq!(screen.shown_closely(), Some(worker.as_str()));
    assert!(drawn(&screen, 100, 30).contains(&format!("reading {worker}")));
    screen.looked("another", Err("it is too late".to_owned()));
    screen.looked(&worker, Ok(demo.worker(&worker).unwrap()));
    (screen, demo, worker)
}

/// The task that `x` asks about.
fn asked(screen: &mut Screen) -> Target {
    match pressed(screen, KeyCode::Char('x')) {
        Some(Wish::Read(Read::Stop(target))) => target,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_worker_is_seen_with_its_tasks_and_one_is_stopped_after_a_question() {
    let (mut screen, demo, worker) = closely(true);
    let tasks = demo.worker(&worker).unwrap().alive;
    typed(&mut screen, "j");
    insta::assert_snapshot!("worker", drawn(&screen, 100, 30));
    let target = asked(&mut screen);
    assert_eq!((&target.worker, &target.task), (&worker, &tasks[1].task));
    let question =
        vec![format!("{worker} {}  running", target.task), "It gets SIGTERM.".to_owned()];
    screen.ask(&target, Ok(question.clone()));
    insta::assert_snapshot!("question", drawn(&screen, 100, 30));
    for (width, height) in [(20, 5), (40, 10), (60, 15)] {
        let page = drawn(&screen, width, height);
        assert!(page.contains("Stop it?"), "what `y` does is seen: {page}");
    }
    assert_eq!(pressed(&mut screen, KeyCode::Char('q')), None, "which is no yes");
    assert!(drawn(&screen, 100, 30).contains("nothing was stopped"));
    let target = asked(&mut screen);
    screen.ask(&target, Ok(question));
    assert_eq!(pressed(&mut screen, KeyCode::Char('y')), Some(Wish::Stop(target)));
    assert_eq!(pressed(&mut screen, KeyCode::Esc), None);
    assert_eq!(screen.shown_closely(), None);

    let (mut reads_only, ..) = closely(false);
    assert_eq!(pressed(&mut reads_only, KeyCode::Char('x')), None);
    assert!(drawn(&reads_only, 100, 30).contains("without --allow-stop"));
}

/// Whoever has gone on meanwhile answers nothing that comes late.
#[test]
fn a_question_that_comes_late_takes_no_key() {
    let question = || Ok(vec!["It gets SIGTERM.".to_owned()]);
    let (mut screen, ..) = closely(true);
    let first = asked(&mut screen);
    assert_eq!(pressed(&mut screen, KeyCode::Esc), None);
    typed(&mut screen, "/pa");
    screen.ask(&first, question());
    assert_eq!(pressed(&mut screen, KeyCode::Char('y')), None, "it goes into the filter");

    let (mut screen, ..) = closely(true);
    let first = asked(&mut screen);
    typed(&mut screen, "j");
    let second = asked(&mut screen);
    screen.ask(&first, question());
    assert!(!drawn(&screen, 100, 30).contains("Stop it?"), "nobody asks about that one any more");
    screen.ask(&second, question());
    screen.ask(&first, question());
    assert_eq!(pressed(&mut screen, KeyCode::Char('y')), Some(Wish::Stop(second)));

    let (mut screen, ..) = closely(true);
    let first = asked(&mut screen);
    screen.ask(&first, Err("ListTasks failed: AccessDenied".to_owned()));
    assert!(drawn(&screen, 100, 30).contains("ListTasks failed: AccessDenied"));
    assert_eq!(pressed(&mut screen, KeyCode::Char('y')), None);
}

/// The mark stays at the task, and where that has ended it is at none.
#[test]
fn the_chosen_task_stays_chosen() {
    let (mut screen, demo, worker) = closely(true);
    typed(&mut screen, "jj");
    let view = demo.worker(&worker).unwrap();
    let mut fewer = view.clone();
    fewer.alive.remove(0);
    screen.looked(&worker, Ok(fewer.clone()));
    assert_eq!(asked(&mut screen).task, view.alive[2].task);
    fewer.alive.remove(1);
    screen.looked(&worker, Ok(fewer.clone()));
    assert_eq!(pressed(&mut screen, KeyCode::Char('x')), None);
    assert!(drawn(&screen, 100, 30).contains("choose one of its tasks first"));
    typed(&mut screen, "j");
    assert_eq!(asked(&mut screen).task, fewer.alive[0].task);

    // However many there are, the chosen one is seen.
    let mut many = view.clone();
    many.alive = (0..80)
        .map(|n| {
            let task = format!("{n:08x}");
            TaskRow { task, ..view.alive[0].clone() }
        })
        .collect();
    screen.looked(&worker, Ok(many));
    for _ in 0..90 {
        typed(&mut screen, "j");
    }
    let task = asked(&mut screen).task;
    assert_eq!(task, format!("{:08x}", 79));
    assert!(drawn(&screen, 100, 20).contains(&format!(">{task}")));
}

#[test]
fn what_keys_do_is_said_over_a_worker_too_and_its_task_is_copied() {
    let (mut screen, demo, worker) = closely(false);
    let before = drawn(&screen, 100, 30);
    typed(&mut screen, "?");
    assert!(drawn(&screen, 100, 30).contains("any key goes on"));
    assert_eq!(pressed(&mut screen, KeyCode::Char('q')), None);
    assert_eq!(drawn(&screen, 100, 30), before, "a key goes on, and does nothing else");
    typed(&mut screen, "j");
    let arn = demo.worker(&worker).unwrap().alive[1].arn.clone();
    assert!(arn.starts_with("arn:aws:ecs:"), "{arn}");
    assert_eq!(pressed(&mut screen, KeyCode::Char('c')), Some(Wish::Copy(arn)));
}

/// By the page of the documentation, which is in the program, and by all of what keys do on a small screen.
#[test]
fn what_to_do_is_read_without_leaving_it() {
    let (mut screen, _) = after(366, Look::default(), false);
    typed(&mut screen, "/state:breaker");
    assert_eq!(pressed(&mut screen, KeyCode::Enter), None);
    for (width, height) in [(60, 15), (80, 24), (100, 17)] {
        let page = drawn(&screen, width, height);
        assert!(page.contains("breaker (w: what to do)"), "{width}x{height}: {page}");
    }
    typed(&mut screen, "w");
    assert!(drawn(&screen, 80, 24).contains("# Breaker open"));
    let mut pages = String::new();
    for _ in 0..12 {
        let mut terminal = Terminal::new(TestBackend::new(60, 15)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        pages.push_str(&drawn(&screen, 60, 15));
        typed(&mut screen, " ");
    }
    assert!(pages.contains("## If ignored") && pages.contains("dead-letter queue of the worker"));
    assert_eq!(pressed(&mut screen, KeyCode::Esc), None);
    assert!(drawn(&screen, 80, 24).contains("WAITING"));

    typed(&mut screen, "?");
    let mut help = String::new();
    for _ in 0..4 {
        help.push_str(&drawn(&screen, 60, 15));
        typed(&mut screen, " ");
    }
    for key in ["copy the worker's name", "stop the chosen task", "quit", "drainWithin"] {
        assert!(help.contains(key), "{key}: {help}");
    }
    typed(&mut screen, "aw");
    assert!(drawn(&screen, 80, 24).contains("# Breaker open"), "the chosen one is still that one");
}

#[test]
fn five_thousand_tasks_are_gone_through() {
    let (mut screen, demo, worker) = closely(true);
    let mut view = demo.worker(&worker).unwrap();
    let task = |n: usize| TaskRow { task: format!("{n:08x}"), ..view.alive[0].clone() };
    view.alive = (0..5000).map(task).collect();
    screen.looked(&worker, Ok(view));
    for (key, n) in [("G", 4999), ("k", 4998), ("g", 0), ("j", 1)] {
        typed(&mut screen, key);
        let page = drawn(&screen, 100, 20);
        assert!(page.contains(&format!(">{n:08x}")), "{key}: {page}");
    }
}

/// Of 5,000 tasks all is read every twenty seconds, and what waits in between.
#[test]
fn tasks_that_are_older_than_what_waits_say_so() {
    let (mut screen, mut demo) = after(30, Look::default(), false);
    assert!(!drawn(&screen, 100, 30).contains(" old"));
    let (view, at) = demo.refresh();
    let before = at.checked_sub(Duration::from_secs(14)).unwrap();
    screen.refreshed(StatusView { tasks_at: Some(before.to_string()), ..view }, at);
    let page = drawn(&screen, 100, 30);
    assert!(page.contains("tasks 15s old, 0.8 ECS calls/s"), "{page}");
}

/// What was shown stays, and says how old it is.
#[test]
fn what_could_not_be_read_again_is_shown_with_its_age() {
    let (mut screen, _) = after(30, Look::default(), false);
    let before = drawn(&screen, 120, 40);
    screen.failed("ListTasks of jobs failed: ThrottlingException", Timestamp::UNIX_EPOCH);
    let pause = Duration::from_secs(10);
    screen.reads(Reading { pause, ..Reading::default() }, Duration::from_secs(65));
    let text = drawn(&screen, 120, 40);
    assert!(text.contains("ThrottlingException") && text.ends_with("1m 05s old"), "{text}");
    assert_eq!(text.lines().next(), before.lines().next());
    typed(&mut screen, "p");
    assert!(screen.is_paused() && drawn(&screen, 120, 40).ends_with("paused, 1m 05s old"));
}

#[test]
fn what_others_wrote_commands_no_screen() {
    let (mut screen, mut demo) = after(30, Look::default(), false);
    let (mut view, at) = demo.refresh();
    let row = view.workers.iter_mut().find(|row| row.urgency == Urgency::Breaker).unwrap();
    row.worker = "名前\u{1b}[2J".to_owned();
    row.note = "\u{202e}evil\u{9b}31m\nnext".to_owned();
    row.why = "e\u{301}\u{7}".to_owned();
    screen.refreshed(view, at);
    let text = drawn(&screen, 120, 40);
    assert!(
        text.contains("名") && !text.contains(['\u{1b}', '\u{9b}', '\u{7}', '\u{202e}']),
        "{text:?}"
    );
}

fn view_of(rows: Vec<Row>) -> StatusView {
    let (mut view, _) = Demo::new(1).refresh();
    view.workers = rows;
    view
}

proptest! {
    /// Each worker once, sums that are sums, and what was not read in none.
    #[test]
    fn an_overview_has_each_worker_once(seed: u64, unread in prop::collection::vec(any::<bool>(), 52)) {
        let mut demo = Demo::new(seed);
        let (mut view, at) = (0..40).map(|_| demo.refresh()).last().unwrap();
        for (row, unread) in view.workers.iter_mut().zip(unread) {
            if unread {
                (row.waiting, row.running, row.starting) = (None, None, None);
            }
        }
        let mut history = History::default();
        history.add(at, &view.workers);
        let overview = Overview::of(&view, &history);
        let names: BTreeSet<_> = overview.rows.iter().map(|it| &it.row.worker).collect();
        prop_assert_eq!((overview.rows.len(), names.len()), (52, 52));
        let sum = |of: fn(&Row) -> Option<u64>| view.workers.iter().filter_map(of).sum::<u64>();
        let Totals { waiting, running, starting, unread, .. } = overview.totals;
        prop_assert_eq!((waiting, running), (sum(|row| row.waiting), sum(|row| row.running)));
        prop_assert_eq!(starting, sum(|row| row.starting));
        let of_none = view.workers.iter().filter(|row| row.waiting.is_none()).count();
        prop_assert_eq!(unread, u64::try_from(of_none).unwrap());
        // Only its own change moves a row.
        let mut turned = view.workers.clone();
        turned.reverse();
        prop_assert_eq!(Overview::of(&view_of(turned), &history).rows, overview.rows);
    }
}

/// In 18 columns of all that is kept.
fn waiting(history: &History, worker: &str) -> Vec<Option<u32>> {
    history.waiting_in(worker, &history.lately(history.span(), 18))
}

#[test]
fn history_is_bounded_and_its_gaps_stay_gaps() {
    let mut history = History::default();
    let mut demo = Demo::new(3);
    for n in 0..KEPT + 100 {
        let (view, at) = demo.refresh();
        if n % 3 == 0 { history.add_gap(at) } else { history.add(at, &view.workers) }
    }
    let (view, _) = demo.refresh();
    for row in &view.workers {
        let points = history.points(&row.worker).count();
        assert_eq!(points, KEPT, "{}", row.worker);
    }
    let read = view.workers.iter().find(|row| row.waiting.is_some()).unwrap();
    let gaps = history.points(&read.worker).filter(|point| point.waiting.is_none()).count();
    assert_eq!(gaps, KEPT / 3);
    assert_eq!(waiting(&history, &read.worker).len(), 18);
    assert!(waiting(&history, "no-such").is_empty());
    let steps = u64::try_from(KEPT - 1).unwrap();
    assert_eq!(history.span(), Duration::from_secs(20 * steps));
    let (series, columns) = (history.series(&read.worker), history.lately(history.span(), 18));
    let times = columns.ends();
    assert_eq!((series.times.len(), times.len()), (KEPT, 18));
    assert_eq!(series.times.last(), times.last());

    let (gone, left) = view.workers.split_first().unwrap();
    for _ in 0..KEPT {
        let (_, at) = demo.refresh();
        history.add(at, left);
    }
    assert_eq!(history.points(&gone.worker).count(), 0);
    assert_eq!(history.points(&left[0].worker).count(), KEPT);
}

/// A day goes by: the last hour is fine, and what was before it, measured and seen, is there by the minute.
#[test]
fn what_was_before_goes_over_into_what_was_seen() {
    let mut demo = Demo::new(1);
    let (view, begin) = demo.refresh();
    let name = view.workers.iter().find(|row| row.waiting.is_some()).unwrap().worker.clone();
    let minute = |n: i64| begin.checked_sub(SignedDuration::from_mins(180 - n)).unwrap();
    let point = |n: u32| Point { waiting: Some(n), ..Point::default() };
    let past = Past {
        times: (0..180).map(minute).collect(),
        workers: BTreeMap::from([(name.clone(), (0..180).map(point).collect())]),
    };
    let mut history = History::after(past);
    assert_eq!(waiting(&history, &name).last(), Some(&Some(179)), "before anything was seen");
    let mut at = begin;
    for _ in 0..6 * 720 {
        at = at.checked_add(SignedDuration::from_secs(5)).unwrap();
        history.add(at, &view.workers);
    }
    let series = history.series(&name);
    let steps: Vec<_> = series.times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().all(|step| (1..=65).contains(step)), "no gap and no way back: {steps:?}");
    assert!(steps[..478].iter().all(|step| *step >= 30));
    assert!(steps[482..].iter().all(|step| *step == 5));
    assert_eq!(history.span().as_secs(), 9 * 3600, "all of it: three hours before, and six since");
    let waiting = waiting(&history, &name);
    let begins = (0..6).map(|column| Some(column * 30 + 29));
    assert_eq!(waiting[..5], begins.collect::<Vec<_>>()[..5], "columns are of equal time");
    assert_eq!(history.lately(history.span(), 18).ends().len(), 18);
    let lately = history.lately(Duration::from_mins(30), 60);
    assert_eq!(lately.ends().windows(2).map(|pair| pair[1] - pair[0]).max(), Some(30));
    assert_eq!(history.waiting_in(&name, &lately).len(), 60);
    for _ in 0..40 * 720 {
        at = at.checked_add(SignedDuration::from_secs(5)).unwrap();
        history.add(at, &view.workers);
    }
    let times = history.series(&name).times.len();
    assert!((2 * KEPT - 1..=2 * KEPT).contains(&times), "it is bounded: {times}");
}

#[test]
fn a_launch_is_counted_at_the_refresh_after_it() {
    let (mut history, mut demo) = (History::default(), Demo::new(1));
    let mut launched = BTreeMap::<_, u32>::new();
    for looks in 0..KEPT / 2 {
        let (view, at) = demo.refresh();
        // Of before the first look nothing is known.
        let new =
            |row: &&Row| row.last_launch.as_ref().is_some_and(|launch| launch.seconds_ago == 0);
        for row in view.workers.iter().filter(new).filter(|_| looks != 0) {
            let containers = u32::try_from(row.last_launch.as_ref().unwrap().containers).unwrap();
            *launched.entry(row.worker.clone()).or_default() += containers;
        }
        // A failed read or a second look at the same counts nothing twice.
        history.add(at, &view.workers);
        history.add(at, &view.workers);
    }
    assert!(launched.len() > 5);
    for (worker, containers) in launched {
        let counted: u32 = history.points(&worker).filter_map(|point| point.launched).sum();
        assert_eq!(counted, containers, "{worker}");
    }
}

/// At the cap, the one whose message nobody takes comes first.
#[test]
fn an_age_that_grows_goes_before_one_that_does_not() {
    let mut history = History::default();
    let (view, _) = Demo::new(1).refresh();
    let at_cap = |worker: &str, oldest: u64| Row {
        worker: worker.to_owned(),
        urgency: Urgency::AtCap,
        oldest_seconds: Some(oldest),
        ..view.workers[0].clone()
    };
    for n in 0..3_u64 {
        let rows = [at_cap("grows", 100 + 60 * n), at_cap("stays", 5000)];
        history.add(Timestamp::from_second(i64::try_from(60 * n).unwrap()).unwrap(), &rows);
    }
    let overview =
        Overview::of(&view_of(vec![at_cap("stays", 5000), at_cap("grows", 220)]), &history);
    let order: Vec<_> =
        overview.rows.iter().map(|it| (it.row.worker.as_str(), it.grows_older)).collect();
    assert_eq!(order, [("grows", true), ("stays", false)]);
}
