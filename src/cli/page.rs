//! Text for a terminal: wrapped to a width, and without anything that a terminal would obey.

use std::borrow::Cow;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// On narrower terminals lines are broken by the terminal.
const NARROWEST: usize = 40;

/// Longer lines are hard to read.
const WIDEST: usize = 120;

/// What a piece of text is, where colours are shown. Every meaning has a sign or a word as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing apart.
    Plain,
    /// Something is started, or well.
    Good,
    /// Somebody may have to look.
    Warning,
    /// Somebody has to look.
    Bad,
    /// It is beside what matters.
    Aside,
}

/// Lines that a person reads.
#[derive(Clone, Debug)]
pub struct Page {
    width: usize,
    text: String,
}

impl Page {
    /// An empty one for a terminal of so many columns.
    pub fn new(width: usize) -> Self {
        Self { width: width.clamp(NARROWEST, WIDEST), text: String::new() }
    }

    /// What has been written, with colours: whoever prints it takes them out where they are not wanted.
    pub fn text(self) -> String {
        self.text
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A line as it is, in the colour of its meaning: it is broken nowhere.
    pub fn line(&mut self, meaning: Meaning, text: &str) {
        let style = meaning.style();
        let parts = [style.render().to_string(), plain(text).into_owned()];
        self.text.extend(parts);
        self.text.push_str(&style.render_reset().to_string());
        self.text.push('\n');
    }

    /// A paragraph that begins with this, and goes on as far to the right as it begins.
    pub fn entry(&mut self, head: &str, text: &str) {
        self.entry_of(Meaning::Plain, head, text);
    }

    /// The same in the colour of its meaning, which the head alone has.
    pub fn entry_of(&mut self, meaning: Meaning, head: &str, text: &str) {
        let (head, text) = (plain(head), plain(text));
        let indentation = textwrap::core::display_width(&head);
        // The text keeps half of the page, however long a name is.
        let rest = " ".repeat(indentation.min(self.width / 2));
        let first = "x".repeat(indentation);
        let options = Options::new(self.width.max(indentation.saturating_add(1)))
            .initial_indent(&first)
            .subsequent_indent(&rest)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation)
            .wrap_algorithm(WrapAlgorithm::FirstFit)
            .break_words(false);
        let style = meaning.style();
        self.text.extend([
            style.render().to_string(),
            head.into_owned(),
            style.render_reset().to_string(),
        ]);
        let wrapped = textwrap::wrap(&text, options);
        for (index, line) in wrapped.iter().enumerate() {
            let line = if index == 0 { line.get(indentation..).unwrap_or_default() } else { line };
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }
}

impl Meaning {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Aside => Style::new().dimmed(),
        }
    }
}

/// A text that no terminal obeys and that stands in the order in which it is written: names and reasons
/// are other people's. Source: Unicode Standard Annex 9, "Explicit Directional Formatting Characters".
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|c| match c {
        '\n' | '\r' | '\t' => ' ',
        c if is_obeyed(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    });
    Cow::Owned(shown.collect())
}

/// Whether a terminal would obey it, or show what stands after it in another order.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Millionths of a dollar as dollars and cents, without their sign.
pub fn dollars(micro: u64) -> String {
    format!("{}.{:02}", grouped(micro / 1_000_000), micro % 1_000_000 / 10_000)
}

/// The clock that times are shown by, which each of them names.
#[derive(Clone, Debug)]
pub struct Clock(TimeZone);

impl Default for Clock {
    fn default() -> Self {
        Self::utc()
    }
}

impl Clock {
    /// That of all who look from elsewhere.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// That of whoever looks.
    pub fn of(zone: TimeZone) -> Self {
        Self(zone)
    }

    /// Such as `2026-11-21 22:04:07 CET`. What is no time is shown as it is.
    pub fn shown(&self, at: &str) -> String {
        let Ok(at) = at.parse::<Timestamp>() else { return at.to_owned() };
        at.to_zoned(self.0.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
    }

    /// The time that a person has typed: with an offset it is that, and without one it is by this clock.
    ///
    /// # Errors
    /// What may be typed.
    pub fn read(&self, text: &str) -> Result<Timestamp, String> {
        if let Ok(instant) = text.parse() {
            return Ok(instant);
        }
        let wrong = || {
            format!(
                "`{text}` is no time: expected one such as 2026-11-21T03:12Z or 2026-11-21T03:12"
            )
        };
        let civil: DateTime = text.parse().map_err(|_| wrong())?;
        civil.to_zoned(self.0.clone()).map(|zoned| zoned.timestamp()).map_err(|_| wrong())
    }

    /// Whether it is everybody's.
    pub fn is_utc(&self) -> bool {
        self.0 == TimeZone::UTC
    }
}

/// The readable end of an ARN: the id of a task or of a container instance.
pub fn short_id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}

/// As a shell takes it for one word.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// So many of something.
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{} {noun}s", grouped(count)) }
}

/// A number with its thousands apart.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && digits.len().saturating_sub(index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Such as `38s`, `14m 02s`, `1h 20m` and `3d 04h`.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {:02}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {:02}m", minutes % 60),
        (days, hours, _) => format!("{days}d {:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(page: Page) -> String {
        anstream::adapter::strip_str(&page.text()).to_string()
    }

    #[test]
    fn a_paragraph_goes_on_where_it_begins() {
        let mut page = Page::new(40);
        page.entry_of(
            Meaning::Good,
            "~ encode  ",
            "412 visible + 96 in flight = 508; / 1 per container",
        );
        page.gap();
        page.entry("", "short");
        let expected =
            "~ encode  412 visible + 96 in flight =\n          508; / 1 per container\n\nshort\n";
        assert_eq!(stripped(page), expected);
    }

    #[test]
    fn what_is_wide_or_long_breaks_nothing() {
        let mut page = Page::new(10);
        page.entry(&"名".repeat(30), "a long name, and words");
        page.entry("", &"x".repeat(200));
        page.entry("head", "");
        let text = stripped(page);
        assert!(text.lines().all(|line| !line.ends_with(' ')), "{text:?}");
        assert!(text.contains(&"x".repeat(200)), "nothing is cut");
    }

    #[test]
    fn a_time_names_the_clock_that_it_is_shown_by() {
        let berlin = Clock::of(TimeZone::get("Europe/Berlin").unwrap());
        assert_eq!(berlin.shown("2026-11-21T21:04:07Z"), "2026-11-21 22:04:07 CET");
        assert_eq!(berlin.shown("2026-07-21T21:04:07Z"), "2026-07-21 23:04:07 CEST");
        assert_eq!(Clock::utc().shown("2026-11-21T21:04:07Z"), "2026-11-21 21:04:07 UTC");
        assert_eq!(berlin.shown("queue-scaler"), "queue-scaler");
        let read = |clock: &Clock, text: &str| clock.read(text).map(|at| at.to_string());
        let local = Ok("2026-11-21T02:12:00Z".to_owned());
        assert_eq!(read(&berlin, "2026-11-21T03:12"), local);
        assert_eq!(read(&berlin, "2026-11-21T02:12Z"), local);
        assert_eq!(read(&Clock::utc(), "2026-11-21T02:12"), local);
        assert!(read(&berlin, "yesterday").unwrap_err().starts_with("`yesterday` is no time"));
    }

    #[test]
    fn a_shell_takes_a_word_for_one() {
        assert_eq!(quoted("/ecs/encode"), "/ecs/encode");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's; rm -rf"), "'it'\\''s; rm -rf'");
    }

    #[test]
    fn no_terminal_obeys_what_others_wrote() {
        let text = "a\u{1b}[2Jb\nc\u{202e}d\u{9b}0me";
        assert_eq!(plain(text), "a\u{fffd}[2Jb c\u{fffd}d\u{fffd}0me");
        assert!(matches!(plain("plain"), Cow::Borrowed(_)));
    }
}
