//! A mistake under the line that it stands in, as compilers show it.

use decision::config::{Position, Problem};
use textwrap::core::display_width;

use super::page::plain;

/// As much of a long line as is shown.
const WIDEST: usize = 96;

/// What stands before the place, of a long line.
const BEFORE: usize = 40;

/// What stands on a line with values that no log may tell.
const MAY_HAVE_SECRETS: [&str; 4] = ["overrides", "environment", "value", "command"];

/// The line of a text that a mistake is in, with a mark under its place; `None` where it has none there, or
/// where the line may hold a secret.
pub fn marked(problem: &Problem, text: &str) -> Option<String> {
    let Position { line, column } = problem.position?;
    let shown = text.split('\n').nth(line.checked_sub(1)?)?.trim_end();
    let lower = shown.to_lowercase();
    if problem.path.contains("overrides")
        || MAY_HAVE_SECRETS.iter().any(|word| lower.contains(word))
    {
        return None;
    }
    let at = column.saturating_sub(1);
    // A long line is shown from a little before the place.
    let is_long = WIDEST < display_width(shown);
    let skipped = if is_long { at.saturating_sub(BEFORE) } else { 0 };
    let begin = if skipped == 0 { "" } else { "..." };
    let part: String = shown.chars().skip(skipped).take(WIDEST).collect();
    let end = if part.chars().count().saturating_add(skipped) < shown.chars().count() {
        "..."
    } else {
        ""
    };
    let before: String = shown.chars().skip(skipped).take(at.saturating_sub(skipped)).collect();
    let margin = display_width(begin).saturating_add(display_width(&plain(&before)));
    let number = line.to_string();
    let empty = " ".repeat(number.len());
    let mark = " ".repeat(margin);
    Some(format!(" {number} | {begin}{}{end}\n {empty} | {mark}^", plain(&part)))
}

#[cfg(test)]
mod tests {
    use decision::config::{Config, ConfigError, document};

    use super::*;

    /// What is shown of the mistake of a key `clustr`, or else of the first one.
    fn first(text: &str) -> String {
        let found = document("workers.yaml", text).and_then(|document| Config::of(&document));
        let problems = match found {
            Ok(config) => config.refused[0].problems.clone(),
            Err(ConfigError(problems)) => problems,
        };
        let of_key = problems.iter().find(|problem| problem.path == "clustr");
        let problem = of_key.unwrap_or(&problems[0]);
        marked(problem, text).unwrap()
    }

    #[test]
    fn the_mark_is_under_the_place() {
        assert_eq!(first("cluster: jobs\nclustr: x\nworkers: []\n"), " 2 | clustr: x\n   | ^");
        let shown = first("{watcherImage: 名前, clustr: x, cluster: jobs, workers: []}");
        assert_eq!(shown.lines().last(), Some("   |                      ^"), "wide: {shown}");
        assert_eq!(first("a:\n\t- 1\n").lines().next(), Some(" 2 |  - 1"), "a tab is one column");
    }

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let worker = |n| {
            let rest = "taskDefinition: a, scaling: {messagesPerContainer: 1}";
            format!("{{name: a{n}, queue: a{n}, {rest}}}")
        };
        let many = (0..9).map(worker).collect::<Vec<_>>().join(", ");
        let shown = first(&format!("{{cluster: jobs, clustr: 1, workers: [{many}]}}"));
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[0].ends_with("...") && lines.iter().all(|line| line.len() < 120), "{shown}");
        let shown = first(&format!("{{cluster: jobs, workers: [{many}], clustr: 1}}"));
        let [line, mark] = shown.lines().collect::<Vec<_>>()[..] else { panic!("{shown}") };
        assert!(
            line.starts_with(" 1 | ...") && line[mark.len() - 1..].starts_with("clustr"),
            "{shown}"
        );
    }

    #[test]
    fn a_line_with_values_of_overrides_is_not_shown() {
        let overrides = "launch: {overrides: {containerOverrides: [{name: w, environment: [{name: DB, value: hush}], comand: [x]}]}}";
        let lines = "launch:\n  overrides:\n    containerOverrides:\n      - name: w\n        command:\n          - hush\n          - {a: hush}\n";
        for launch in [overrides, lines] {
            let text = format!("cluster: jobs\n{launch}\nworkers: []\n");
            let found = document("workers.yaml", &text).and_then(|document| Config::of(&document));
            let Err(ConfigError(problems)) = found else { panic!("it is wrong") };
            assert!(!problems.is_empty());
            let shown: Vec<_> = problems.iter().filter_map(|p| marked(p, &text)).collect();
            assert!(shown.iter().all(|shown| !shown.contains("hush")), "{shown:?}");
        }
    }

    #[test]
    fn a_mistake_without_a_place_has_no_mark() {
        let Err(ConfigError(problems)) = Config::of_event(&serde_json::json!({"workers": 1}))
        else {
            panic!("it is wrong")
        };
        assert_eq!(marked(&problems[0], "workers: 1"), None);
    }
}
