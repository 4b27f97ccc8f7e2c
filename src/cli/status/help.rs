//! What to do where somebody has to look: pages of the documentation that are in the program.

use super::Urgency;

/// A page of the documentation that says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelpPage {
    /// Where the console has it.
    pub address: &'static str,
    /// Where it stands beside the program's source.
    pub path: &'static str,
    /// The page itself, in Markdown.
    pub text: &'static str,
}

macro_rules! page {
    ($name:literal) => {
        HelpPage {
            address: concat!("help/", $name),
            path: concat!("docs/alarms/", $name, ".md"),
            text: include_str!(concat!("../../../docs/alarms/", $name, ".md")),
        }
    };
}

impl HelpPage {
    const NOT_SERVED: Self = page!("not-served");
    const BREAKER_OPEN: Self = page!("breaker-open");
    const BACKLOG_AT_CAP: Self = page!("backlog-at-cap");
    const LAUNCHES_FAILING: Self = page!("launches-failing");

    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::NOT_SERVED, Self::BREAKER_OPEN, Self::BACKLOG_AT_CAP, Self::LAUNCHES_FAILING];
}

impl Urgency {
    /// What to read where somebody has to look.
    pub fn page(self) -> Option<HelpPage> {
        match self {
            Self::Denied | Self::Held | Self::Refused => Some(HelpPage::NOT_SERVED),
            Self::Breaker | Self::Failing | Self::Stuck => Some(HelpPage::BREAKER_OPEN),
            Self::AtCap => Some(HelpPage::BACKLOG_AT_CAP),
            Self::Waits => Some(HelpPage::LAUNCHES_FAILING),
            Self::Launching | Self::Paused | Self::Ok | Self::Idle => None,
        }
    }
}
