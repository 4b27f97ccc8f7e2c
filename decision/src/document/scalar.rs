//! A value that is neither a list nor an object, as it is written.

use serde_json::Value;

/// As much of a value as a message shows, in characters.
const LONGEST_SHOWN: usize = 60;

/// A text, a number, a truth value, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scalar {
    /// What is written, without quotes.
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Null,
    Bool,
    Number,
    Text,
    /// Whatever is asked for.
    Untyped,
    /// A value with a tag of its own before it, such as `!Ref`: it means nothing here.
    Tagged,
}

impl Scalar {
    /// Nothing.
    pub(crate) const NOTHING: Self = Self { text: String::new(), kind: Kind::Null };

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: Kind::Text }
    }

    pub(crate) fn untyped(text: &str) -> Self {
        Self { text: text.to_owned(), kind: Kind::Untyped }
    }

    /// What has a tag that is none of YAML's own.
    pub(crate) fn tagged(text: String) -> Self {
        Self { text, kind: Kind::Tagged }
    }

    /// What is written without quotes is what it looks like. `yes`, `no`, `on` and `off` are truth
    /// values, as in YAML 1.1.
    pub(crate) fn plain(text: &str) -> Self {
        let kind = if text.is_empty() || text == "~" || text.eq_ignore_ascii_case("null") {
            Kind::Null
        } else if truth(text).is_some() {
            Kind::Bool
        } else if is_number(text) {
            Kind::Number
        } else {
            Kind::Text
        };
        Self { text: text.to_owned(), kind }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        matches!(self.kind, Kind::Text | Kind::Untyped).then_some(&*self.text)
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match (self.kind, self.text.as_str()) {
            (Kind::Bool, text) => truth(text),
            (Kind::Untyped, "true") => Some(true),
            (Kind::Untyped, "false") => Some(false),
            _ => None,
        }
    }

    /// A whole number, also where it is written as `20.0` or `2e1`; not with a zero before it.
    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self.kind {
            Kind::Number => whole(&self.text),
            Kind::Untyped => number_of_json(&self.text)?.as_u64(),
            _ => None,
        }
    }

    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self.kind {
            Kind::Number if has_leading_zero(&self.text) => None,
            Kind::Number => float(&self.text),
            Kind::Untyped => number_of_json(&self.text)?.as_f64(),
            _ => None,
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    pub(crate) fn is_null(&self) -> bool {
        self.kind == Kind::Null
    }

    /// Its tag, where that is none of YAML's own.
    pub(crate) fn tag(&self) -> Option<&str> {
        let tagged = (self.kind == Kind::Tagged).then_some(&self.text)?;
        tagged.split(' ').next()
    }

    /// The same in quotes, where it is not text without them.
    pub(crate) fn quoted(&self) -> Option<Self> {
        let has_other_type = matches!(self.kind, Kind::Bool | Kind::Number);
        has_other_type.then(|| Self::text(self.text.clone()))
    }

    /// Whether it is a number that other readers of YAML take for an octal one.
    pub(crate) fn has_leading_zero(&self) -> bool {
        self.kind == Kind::Number && has_leading_zero(&self.text)
    }

    pub(crate) fn shown(&self) -> String {
        let has_no_type = self.kind == Kind::Untyped && !is_of_json(&self.text);
        let text = match self.kind {
            Kind::Null if self.text.is_empty() => return "nothing".to_owned(),
            Kind::Text => Value::from(self.text.as_str()).to_string(),
            _ if has_no_type => Value::from(self.text.as_str()).to_string(),
            _ => self.text.clone(),
        };
        let cut: String = text.chars().take(LONGEST_SHOWN).collect();
        if cut.len() < text.len() { format!("`{cut}...`") } else { format!("`{text}`") }
    }

    pub(crate) fn kind_in_words(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool => "a truth value",
            Kind::Number => "a number",
            Kind::Text | Kind::Untyped => "text",
            Kind::Tagged => "a value with a tag",
        }
    }
}

impl From<&Value> for Scalar {
    fn from(value: &Value) -> Self {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Bool,
            Value::Number(_) => Kind::Number,
            Value::String(text) => return Self::text(text.as_str()),
            Value::Array(_) | Value::Object(_) => return Self::default(),
        };
        Self { text: value.to_string(), kind }
    }
}

fn truth(text: &str) -> Option<bool> {
    let is_one_of = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match text {
        _ if is_one_of(["true", "yes", "on", "y"]) => Some(true),
        _ if is_one_of(["false", "no", "off", "n"]) => Some(false),
        _ => None,
    }
}

fn is_number(text: &str) -> bool {
    const NOT_FINITE: [&str; 4] = [".inf", "-.inf", "+.inf", ".nan"];
    let has_digit = text.contains(|c: char| c.is_ascii_digit());
    let is_finite = has_digit && text.parse::<f64>().is_ok();
    is_finite || integer(text).is_some() || NOT_FINITE.contains(&&*text.to_ascii_lowercase())
}

/// A whole number as YAML writes one: `20`, `+20`, `1_000`, `0x14`, `0o24`, `0b10100`.
fn integer(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let radix = |prefix: [&str; 2]| prefix.iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (digits, radix) = None
        .or_else(|| radix(["0x", "0X"]).map(|digits| (digits, 16)))
        .or_else(|| radix(["0o", "0O"]).map(|digits| (digits, 8)))
        .or_else(|| radix(["0b", "0B"]).map(|digits| (digits, 2)))
        .unwrap_or((digits, 10));
    let is_tidy = digits.split('_').all(|part| !part.is_empty()) && !digits.starts_with('+');
    is_tidy.then(|| u64::from_str_radix(&digits.replace('_', ""), radix).ok()).flatten()
}

/// The largest whole number up to which all others are floats too.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

fn whole(text: &str) -> Option<u64> {
    if has_leading_zero(text) {
        return None;
    }
    let rounded = || {
        let number = text.parse::<f64>().ok()?;
        let is_whole = number.fract() == 0.0 && (0.0..MOST_EXACT).contains(&number);
        is_whole.then(|| format!("{number:.0}").parse().ok()).flatten()
    };
    integer(text).or_else(rounded)
}

fn float(text: &str) -> Option<f64> {
    let number: Option<f64> = text.parse().ok();
    let whole = || u32::try_from(integer(text)?).ok().map(f64::from);
    number.or_else(whole).filter(|number| number.is_finite())
}

fn has_leading_zero(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    let second = digits.strip_prefix('0').and_then(|rest| rest.chars().next());
    second.is_some_and(|c| c.is_ascii_digit() || c == '_')
}

fn number_of_json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(Value::is_number)
}

/// Whether JSON writes a number or a truth value so.
fn is_of_json(text: &str) -> bool {
    ["true", "false"].contains(&text) || number_of_json(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_what_is_written_and_taken_as_what_it_means() {
        for (text, whole, float) in [
            ("20", Some(20), Some(20.0)),
            ("20.0", Some(20), Some(20.0)),
            ("2e1", Some(20), Some(20.0)),
            ("+20", Some(20), Some(20.0)),
            ("1_000", Some(1000), Some(1000.0)),
            ("0x14", Some(20), Some(20.0)),
            ("0o24", Some(20), Some(20.0)),
            ("0.5", None, Some(0.5)),
            ("-1", None, Some(-1.0)),
            ("010", None, None),
            (".nan", None, None),
            ("-.inf", None, None),
            ("1e400", None, None),
            ("99999999999999999999", None, Some(1e20)),
        ] {
            let scalar = Scalar::plain(text);
            assert_eq!((scalar.as_u64(), scalar.as_f64()), (whole, float), "{text}");
            assert_eq!((scalar.as_str(), scalar.shown()), (None, format!("`{text}`")));
        }
    }

    #[test]
    fn what_looks_like_no_number_is_text() {
        for text in ["10m", "1.2.3", "nan", "infinity", "1__0", "_1", "a", "--1", "0x", "++1"] {
            assert_eq!(Scalar::plain(text).as_str(), Some(text));
        }
    }

    #[test]
    fn yes_and_no_are_truth_values() {
        for (text, truth) in [("yes", true), ("On", true), ("TRUE", true), ("n", false)] {
            assert_eq!(Scalar::plain(text).as_bool(), Some(truth));
            assert_eq!(Scalar::plain(text).as_str(), None);
        }
        assert_eq!(Scalar::text("yes").as_bool(), None);
    }

    #[test]
    fn what_is_untyped_is_what_is_asked_for() {
        let all = |text| {
            let scalar = Scalar::untyped(text);
            (scalar.as_u64(), scalar.as_bool(), scalar.as_str().map(str::to_owned))
        };
        assert_eq!(all("20"), (Some(20), None, Some("20".to_owned())));
        assert_eq!(all("true"), (None, Some(true), Some("true".to_owned())));
        assert_eq!(all("yes"), (None, None, Some("yes".to_owned())));
        assert_eq!(all("0x14"), (None, None, Some("0x14".to_owned())));
    }
}
