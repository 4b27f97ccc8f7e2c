//! `man`: a manual page for each command.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::account::{now, variable};
use super::{Failed, Said};

/// Writes the pages into a folder.
pub(crate) fn write(command: Command, folder: &Path) -> Result<Said, Failed> {
    // Whoever makes a package says when: then the same program has the same pages.
    // Source: reproducible-builds.org, `SOURCE_DATE_EPOCH`.
    let epoch = variable("SOURCE_DATE_EPOCH").and_then(|seconds| seconds.parse().ok());
    let at = epoch.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or_else(now);
    let date = at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string();
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let wrong = |error| Failed::Use(format!("cannot write to `{}`: {error}", folder.display()));
    pages(&command, &date, folder).map_err(wrong)?;
    Ok(Said::default())
}

fn pages(command: &Command, date: &str, folder: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands() {
        pages(subcommand, date, folder)?;
    }
    let man = Man::new(command.clone())
        .date(date)
        .source(concat!("ecs-queue-scaler ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let mut page = Vec::new();
    man.render(&mut page)?;
    // Two breaks around nothing are a paragraph.
    let page = String::from_utf8_lossy(&page).replace("\n.br\n\n.br\n", "\n.sp\n");
    fs::write(folder.join(man.get_filename()), page)
}
