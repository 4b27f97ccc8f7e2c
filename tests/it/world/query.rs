//! The cluster query language: which container instances an expression means.
//! Source: ECS developer guide, "Cluster query language".

use std::iter::Peekable;
use std::vec::IntoIter;

use jiff::Timestamp;

/// The longest expression. Source: ECS API, `PlacementConstraint.expression`.
const LONGEST: usize = 2000;

const SUBJECTS: [&str; 6] = [
    "agentConnected",
    "agentVersion",
    "ec2InstanceId",
    "registeredAt",
    "runningTasksCount",
    "task:group",
];

/// Operators by their signs and their words.
const OPERATORS: [(&str, &str, Operator); 12] = [
    ("==", "equals", Operator::Equal),
    ("!=", "not_equals", Operator::NotEqual),
    (">", "greater_than", Operator::Greater),
    (">=", "greater_than_equal", Operator::GreaterOrEqual),
    ("<", "less_than", Operator::Less),
    ("<=", "less_than_equal", Operator::LessOrEqual),
    ("exists", "exists", Operator::Exists),
    ("!exists", "not_exists", Operator::NotExists),
    ("in", "in", Operator::In),
    ("!in", "not_in", Operator::NotIn),
    ("=~", "matches", Operator::Matches),
    ("!~", "not_matches", Operator::NotMatches),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Exists,
    NotExists,
    In,
    NotIn,
    Matches,
    NotMatches,
}

/// An expression that was understood.
#[derive(Debug)]
pub(super) enum Query {
    Is(String, Operator, Vec<String>),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// What is not quoted: a subject, an operator, an argument.
    Word(String),
    Quoted(String),
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 17] =
    ["==", "!=", ">=", "<=", "=~", "!~", "&&", "||", "!", "(", ")", "[", "]", ",", ">", "<", "="];

impl Query {
    pub(super) fn parse(expression: &str) -> Result<Self, String> {
        if LONGEST < expression.len() {
            return Err("the expression is too long".to_owned());
        }
        let mut tokens = Tokens(tokens(expression)?.into_iter().peekable());
        let query = tokens.any()?;
        match tokens.0.next() {
            None => Ok(query),
            Some(rest) => Err(format!("{rest:?} is one too many")),
        }
    }

    /// Whether it holds where subjects have these values: none where there is no such thing. The
    /// negative operators hold of what is not there (that is not documented).
    pub(super) fn holds(&self, values: &impl Fn(&str) -> Vec<String>) -> bool {
        match self {
            Self::Is(subject, operator, arguments) => {
                operator.holds(subject, &values(subject), arguments)
            }
            Self::Not(query) => !query.holds(values),
            Self::And(one, other) => one.holds(values) && other.holds(values),
            Self::Or(one, other) => one.holds(values) || other.holds(values),
        }
    }
}

impl Operator {
    fn holds(self, subject: &str, values: &[String], arguments: &[String]) -> bool {
        let first = arguments.first().map(String::as_str).unwrap_or_default();
        let any = |test: &dyn Fn(&str) -> bool| values.iter().any(|value| test(value));
        let ordered = |test: fn(std::cmp::Ordering) -> bool| {
            any(&|value| {
                order(subject, value).partial_cmp(&order(subject, first)).is_some_and(test)
            })
        };
        match self {
            Self::Equal => any(&|value| value == first),
            Self::NotEqual => !any(&|value| value == first),
            Self::Greater => ordered(std::cmp::Ordering::is_gt),
            Self::GreaterOrEqual => ordered(std::cmp::Ordering::is_ge),
            Self::Less => ordered(std::cmp::Ordering::is_lt),
            Self::LessOrEqual => ordered(std::cmp::Ordering::is_le),
            Self::Exists => !values.is_empty(),
            Self::NotExists => values.is_empty(),
            Self::In => any(&|value| arguments.iter().any(|argument| argument == value)),
            Self::NotIn => !any(&|value| arguments.iter().any(|argument| argument == value)),
            Self::Matches => any(&|value| matches(first, value)),
            Self::NotMatches => !any(&|value| matches(first, value)),
        }
    }
}

/// What a value is ordered by: a time by its seconds, a version by its parts, a number.
fn order(subject: &str, value: &str) -> Vec<f64> {
    if subject == "registeredAt"
        && let Ok(time) = value.parse::<Timestamp>()
    {
        return vec![time.as_duration().as_secs_f64()];
    }
    if subject == "agentVersion" {
        return value.split('.').map(|part| part.parse().unwrap_or(f64::NAN)).collect();
    }
    vec![value.parse().unwrap_or(f64::NAN)]
}

/// Whether a value is as a pattern says, from its beginning to its end: `.*` and `*` are
/// anything, `.` is one character. Of regular expressions that is enough here.
fn matches(pattern: &str, value: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix(".*").or_else(|| pattern.strip_prefix('*')) {
        let mut ends = value.char_indices().map(|(at, _)| at).chain([value.len()]);
        return ends.any(|at| matches(rest, &value[at..]));
    }
    let (mut patterns, mut values) = (pattern.chars(), value.chars());
    match (patterns.next(), values.next()) {
        (None, None) => true,
        (Some(wanted), Some(there)) if wanted == '.' || wanted == there => {
            matches(patterns.as_str(), values.as_str())
        }
        _ => false,
    }
}

fn tokens(expression: &str) -> Result<Vec<Token>, String> {
    let (mut tokens, mut rest) = (Vec::new(), expression.trim_start());
    while let Some(first) = rest.chars().next() {
        if first == '\'' || first == '"' {
            let Some((quoted, after)) = rest[1..].split_once(first) else {
                return Err(format!("{first} is not closed"));
            };
            tokens.push(Token::Quoted(quoted.to_owned()));
            rest = after;
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let ends = |c: char| c.is_whitespace() || "=!<>&|()[],'\"".contains(c);
            let end = rest.find(ends).unwrap_or(rest.len());
            if end == 0 {
                return Err(format!("{first} means nothing"));
            }
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

struct Tokens(Peekable<IntoIter<Token>>);

impl Tokens {
    fn takes(&mut self, word: &str) -> bool {
        let is_it = |token: &Token| match token {
            Token::Word(text) => text == word,
            Token::Sign(sign) => *sign == word,
            Token::Quoted(_) => false,
        };
        self.0.next_if(is_it).is_some()
    }

    /// `or` binds less than `and`, and that less than `not`.
    fn any(&mut self) -> Result<Query, String> {
        let mut query = self.all()?;
        while self.takes("or") || self.takes("||") {
            query = Query::Or(Box::new(query), Box::new(self.all()?));
        }
        Ok(query)
    }

    fn all(&mut self) -> Result<Query, String> {
        let mut query = self.one()?;
        while self.takes("and") || self.takes("&&") {
            query = Query::And(Box::new(query), Box::new(self.one()?));
        }
        Ok(query)
    }

    fn one(&mut self) -> Result<Query, String> {
        if self.takes("not") || self.takes("!") {
            return Ok(Query::Not(Box::new(self.one()?)));
        }
        if self.takes("(") {
            let query = self.any()?;
            return if self.takes(")") { Ok(query) } else { Err("( is not closed".to_owned()) };
        }
        let subject = match self.0.next() {
            Some(Token::Word(word)) if is_subject(&word) => word,
            other => return Err(format!("{other:?} is no subject")),
        };
        let operator = self.operator()?;
        let arguments = match operator {
            Operator::Exists | Operator::NotExists => Vec::new(),
            Operator::In | Operator::NotIn => self.arguments()?,
            _ => vec![self.argument()?],
        };
        check_arguments(&subject, &arguments)?;
        Ok(Query::Is(subject, operator, arguments))
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let negative = self.takes("!");
        let name = match self.0.next() {
            Some(Token::Word(word)) if negative => format!("!{word}"),
            Some(Token::Word(word)) => word,
            Some(Token::Sign(sign)) if !negative => sign.to_owned(),
            other => return Err(format!("{other:?} is no operator")),
        };
        let known = OPERATORS.into_iter().find(|(sign, word, _)| name == *sign || name == *word);
        known.map(|(_, _, operator)| operator).ok_or_else(|| format!("{name} is no operator"))
    }

    fn argument(&mut self) -> Result<String, String> {
        match self.0.next() {
            Some(Token::Word(text) | Token::Quoted(text)) => Ok(text),
            other => Err(format!("{other:?} is no argument")),
        }
    }

    fn arguments(&mut self) -> Result<Vec<String>, String> {
        if !self.takes("[") {
            return Err("in takes a list".to_owned());
        }
        let mut arguments = vec![self.argument()?];
        while self.takes(",") {
            arguments.push(self.argument()?);
        }
        if self.takes("]") { Ok(arguments) } else { Err("[ is not closed".to_owned()) }
    }
}

fn is_subject(word: &str) -> bool {
    let attribute = word.strip_prefix("attribute:").is_some_and(|name| !name.is_empty());
    attribute || SUBJECTS.contains(&word)
}

fn check_arguments(subject: &str, arguments: &[String]) -> Result<(), String> {
    let legal = |argument: &String| match subject {
        "agentConnected" => ["true", "false"].contains(&argument.as_str()),
        "runningTasksCount" => argument.parse::<u64>().is_ok(),
        _ => true,
    };
    match arguments.iter().find(|argument| !legal(argument)) {
        None => Ok(()),
        Some(argument) => Err(format!("{subject} is never {argument}")),
    }
}
