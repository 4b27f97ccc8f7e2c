//! What a `SCALER_CONFIG` was meant to be that names no source. Pure.

/// What it was meant to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// The configuration itself.
    Yaml,
    /// A source, in another spelling: what is to be written instead.
    Other(String),
    /// Nothing that is known here. It may be a secret, and is not shown.
    Unknown,
}

/// Guesses by the shape of a text. A configuration has keys, which no name of a source has.
pub(super) fn meant(text: &str) -> Meant {
    let text = text.trim();
    let has_keys = text.contains(": ") || text.ends_with(':') || text.starts_with(['{', '[', '-']);
    if text.is_empty() || text.contains('\n') || has_keys {
        return Meant::Yaml;
    }
    instead(text).map_or(Meant::Unknown, Meant::Other)
}

fn instead(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let after = |prefix: &str| lower.starts_with(prefix).then(|| text.get(prefix.len()..))?;
    let write = |instead: String| Some(format!("write `{instead}`"));
    if after("http://").or(after("https://")).is_some() {
        let instead = "which is not read; put the file into S3 and write `s3://bucket/key`";
        return Some(instead.to_owned());
    }
    if let Some(rest) = after("s3:") {
        return write(format!("s3:{rest}"));
    }
    if let Some(rest) = after("ssm:") {
        return write(format!("ssm:{rest}"));
    }
    if let Some(rest) = after("file:") {
        return write(format!("file:{}", rest.trim_start_matches("//")));
    }
    let parts: Vec<_> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "ssm", ..] => return write(format!("ssm:{text}")),
        ["arn", _, "s3", _, _, object] => return write(format!("s3://{object}")),
        _ => {}
    }
    let is_file = [".yaml", ".yml", ".json"].iter().any(|ending| lower.ends_with(ending));
    let is_path = text.starts_with(['.', '/', '~']);
    (is_file || is_path).then(|| write(format!("file:{text}")))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_and_the_form_that_was_meant_are_named() {
        for (text, instead) in [
            ("workers.yaml", "write `file:workers.yaml`"),
            ("./x", "write `file:./x`"),
            ("/etc/workers", "write `file:/etc/workers`"),
            (
                "https://example.com/workers.yaml",
                "which is not read; put the file into S3 and write `s3://bucket/key`",
            ),
            ("S3://bucket/key", "write `s3://bucket/key`"),
            ("SSM:/scaler", "write `ssm:/scaler`"),
            ("File:///etc/x.yaml", "write `file:/etc/x.yaml`"),
            (
                "arn:aws:ssm:eu-central-1:123456789012:parameter/scaler",
                "write `ssm:arn:aws:ssm:eu-central-1:123456789012:parameter/scaler`",
            ),
            ("arn:aws:s3:::bucket/key", "write `s3://bucket/key`"),
        ] {
            assert_eq!(meant(text), Meant::Other(instead.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_word_that_is_neither_is_not_shown_and_yaml_is_yaml() {
        assert_eq!(meant("hunter-2"), Meant::Unknown);
        for yaml in ["", "workers: []", "workers:", "{\"workers\":[]}", "a:1\nb", "- a"] {
            assert_eq!(meant(yaml), Meant::Yaml, "{yaml}");
        }
    }
}
