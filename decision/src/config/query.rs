//! Whether ECS can read an expression of its cluster query language. Only ECS evaluates them: it takes
//! Java's regular expressions, and no second reading is quite the same.
//! Source: ECS developer guide, "Create expressions to define container instances".

use crate::units::Expression;

const SUBJECTS: [&str; 6] = [
    "agentConnected",
    "agentVersion",
    "ec2InstanceId",
    "registeredAt",
    "runningTasksCount",
    "task:group",
];

/// The subjects that change with each task that is placed.
const OF_TASKS: [&str; 2] = ["task:group", "runningTasksCount"];

/// Longer ones first: one may begin another.
const OPERATORS: [(&str, Takes); 22] = [
    ("greater_than_equal", Takes::One),
    ("less_than_equal", Takes::One),
    ("not_matches", Takes::One),
    ("not_equals", Takes::One),
    ("not_exists", Takes::Nothing),
    ("greater_than", Takes::One),
    ("less_than", Takes::One),
    ("!exists", Takes::Nothing),
    ("matches", Takes::One),
    ("equals", Takes::One),
    ("exists", Takes::Nothing),
    ("not_in", Takes::List),
    ("!in", Takes::List),
    ("in", Takes::List),
    ("==", Takes::One),
    ("!=", Takes::One),
    (">=", Takes::One),
    ("<=", Takes::One),
    ("=~", Takes::One),
    ("!~", Takes::One),
    (">", Takes::One),
    ("<", Takes::One),
];

/// What an operator is followed by.
#[derive(Clone, Copy, PartialEq)]
enum Takes {
    Nothing,
    One,
    List,
}

impl Expression {
    /// What ECS would not understand, and where.
    pub fn flaw(&self) -> Option<String> {
        let mut text = Text { whole: self.as_str(), rest: self.as_str() };
        let read = text.expression().and_then(|()| match text.skip_spaces() {
            "" => Ok(()),
            _ => Err(text.expected("`and`, `or` or the end")),
        });
        read.err()
    }

    /// Whether a task that is placed may change what it is true for.
    pub fn depends_on_tasks(&self) -> bool {
        OF_TASKS.iter().any(|subject| self.as_str().contains(subject))
    }
}

/// An expression that is being read.
struct Text<'a> {
    whole: &'a str,
    rest: &'a str,
}

impl Text<'_> {
    fn expected(&self, what: &str) -> String {
        let at = self.whole.len().saturating_sub(self.rest.len()).saturating_add(1);
        let seen: String = self.rest.chars().take(20).collect();
        let seen = if seen.is_empty() { "the end".to_owned() } else { format!("`{seen}`") };
        format!("expected {what} at character {at}, found {seen}")
    }

    fn skip_spaces(&mut self) -> &str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    /// Takes one of some texts; a word only where it ends.
    fn take(&mut self, texts: &[&str]) -> bool {
        let rest = self.skip_spaces();
        let after = texts.iter().find_map(|text| {
            let after = rest.strip_prefix(text)?;
            let is_word = text.ends_with(char::is_alphabetic);
            let goes_on = after.starts_with(|c: char| c.is_alphanumeric() || "_:.".contains(c));
            (!(is_word && goes_on)).then_some(after.len())
        });
        let Some(left) = after else { return false };
        self.drop(self.rest.len().saturating_sub(left));
        true
    }

    fn drop(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn expression(&mut self) -> Result<(), String> {
        self.term()?;
        while self.take(&["and", "&&", "or", "||"]) {
            self.term()?;
        }
        Ok(())
    }

    fn term(&mut self) -> Result<(), String> {
        while self.take(&["not", "!"]) {}
        if !self.take(&["("]) {
            return self.clause();
        }
        self.expression()?;
        if self.take(&[")"]) { Ok(()) } else { Err(self.expected("`)`")) }
    }

    fn clause(&mut self) -> Result<(), String> {
        let name = |c: char| c.is_alphanumeric() || "_-./\\:@".contains(c);
        let subject: String = self.skip_spaces().chars().take_while(|c| name(*c)).collect();
        let attribute = subject.strip_prefix("attribute:").is_some_and(|name| !name.is_empty());
        if !(attribute || SUBJECTS.contains(&subject.as_str())) {
            let known = SUBJECTS.join("`, `");
            return Err(self.expected(&format!("`attribute:<name>`, `{known}`")));
        }
        self.drop(subject.len());
        let Some((_, takes)) = OPERATORS.iter().find(|(operator, _)| self.take(&[operator])) else {
            return Err(self.expected("an operator such as `==`, `in` or `exists`"));
        };
        match takes {
            Takes::Nothing => Ok(()),
            Takes::One => self.argument(),
            Takes::List => self.list(),
        }
    }

    fn argument(&mut self) -> Result<(), String> {
        let rest = self.skip_spaces();
        if let Some(quote) = rest.chars().next().filter(|c| "'\"".contains(*c)) {
            let inner = rest.get(1..).unwrap_or_default();
            let Some(end) = inner.find(quote) else {
                return Err(self.expected(&format!("a text that ends with {quote}")));
            };
            self.drop(end.saturating_add(2));
            return Ok(());
        }
        let length = bare(rest);
        if length == 0 {
            return Err(self.expected("a value"));
        }
        self.drop(length);
        Ok(())
    }

    fn list(&mut self) -> Result<(), String> {
        if !self.take(&["["]) {
            return Err(self.expected("a list such as `[a, b]`"));
        }
        let Some(end) = self.rest.find(']') else { return Err(self.expected("`]`")) };
        if self.rest.get(..end).unwrap_or_default().trim().is_empty() {
            return Err(self.expected("a value"));
        }
        self.drop(end.saturating_add(1));
        Ok(())
    }
}

/// How long a value without quotes is: to a space, or to a bracket that it has not opened itself, as
/// a pattern may.
fn bare(text: &str) -> usize {
    let mut open = 0_u32;
    for (at, c) in text.char_indices() {
        match c {
            '(' => open = open.saturating_add(1),
            ')' if open == 0 => return at,
            ')' => open = open.saturating_sub(1),
            c if c.is_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(text: &str) -> Option<String> {
        Expression::from(text).flaw()
    }

    #[test]
    fn what_the_developer_guide_shows_is_understood() {
        for text in [
            "attribute:ecs.instance-type == t2.small",
            "attribute:ecs.availability-zone in [us-east-1a, us-east-1b]",
            "task:group == service:production",
            "not(task:group == database)",
            "runningTasksCount == 0",
            "ec2InstanceId in ['i-abcd1234', 'i-wxyx7890']",
            "attribute:ecs.instance-type =~ g2.* and attribute:ecs.availability-zone != us-east-1d",
            "attribute:stack exists and (agentConnected == true || !(registeredAt < 2018-02-18))",
            "attribute:ecs.instance-type =~ (c5|m5)\\..*",
            "attribute:rack not_exists or attribute:rack not_in [a]",
            "attribute:x==\"a b\"",
        ] {
            assert_eq!(flaw(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_reported_with_its_position() {
        let texts = [
            "",
            "instance-type == t2.small",
            "attribute: == x",
            "attribute:x",
            "attribute:x equal y",
            "attribute:x ==",
            "attribute:x == 'y",
            "attribute:x in a",
            "attribute:x in []",
            "attribute:x in [a",
            "(attribute:x exists",
            "attribute:x exists)",
            "attribute:x exists and",
            "attribute:x == a b",
        ];
        let reported = texts.map(|text| format!("{text}\n  {}", flaw(text).unwrap_or_default()));
        insta::assert_snapshot!(reported.join("\n"));
    }

    #[test]
    fn an_expression_on_tasks_is_known_as_such() {
        assert!(Expression::from("not(task:group == worker:a)").depends_on_tasks());
        assert!(Expression::from("runningTasksCount < 5").depends_on_tasks());
        assert!(!Expression::from("attribute:x == y").depends_on_tasks());
    }
}
