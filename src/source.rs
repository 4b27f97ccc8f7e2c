//! Where the configuration comes from: `SCALER_CONFIG`, and how one version of it is read.

mod current;
mod meant;

use std::fmt;
use std::fs::{File, metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use decision::config::{ConfigError, LARGEST};
use decision::snapshot::CallError;

pub use self::current::{Current, Discovery, InForce};
use self::meant::Meant;
use crate::aws::ReadCloud;

/// What holds a configuration. `Debug` is as `Display`: the YAML itself may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// `file:PATH`, relative to the working directory (in Lambda, the function's package).
    File(PathBuf),
    /// `ssm:NAME`, a parameter, perhaps with `:version` or `:label`.
    Parameter(String),
    /// `s3://BUCKET/KEY`
    Object {
        /// The bucket.
        bucket: String,
        /// The key, not empty.
        key: String,
    },
    /// The YAML itself.
    Inline(String),
}

/// Which state of a source was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// For a person; `None` where there is only one.
    pub name: Option<String>,
    /// Differs wherever the text may.
    exact: String,
}

/// A version that was read, and is not checked yet. It may hold secrets: `Debug` tells which it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// The version that was read.
    pub version: Version,
    /// What it says.
    pub text: String,
}

/// Why a source gave no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The text names no source.
    #[error("SCALER_CONFIG is `{text}`, {allowed}")]
    Malformed {
        /// The value.
        text: String,
        /// What it may be.
        allowed: String,
    },
    /// It is one word, and no configuration.
    #[error(
        "SCALER_CONFIG is neither a source nor a configuration; write `file:PATH`, `ssm:NAME`, \
         `s3://bucket/key`, or the YAML itself"
    )]
    Unknown,
    /// The file is not there or not readable.
    #[error(
        "cannot read `{}`, which SCALER_CONFIG names; is it in the package?: {why}", .path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// The file was written while it was read, every time.
    #[error("`{}` changes while it is read; replace it by renaming a finished file", .0.display())]
    Changing(PathBuf),
    /// AWS did not give it.
    #[error("cannot read the configuration: {0}")]
    Call(#[from] CallError),
    /// There is more of it than anybody means.
    #[error("the configuration has more than {LARGEST} bytes, which is the most that is read")]
    TooLarge,
    /// It is something else.
    #[error("the configuration is not text: it is not UTF-8 at byte {0}")]
    NoText(usize),
    /// It is not there, and nobody can say why.
    #[error("no configuration is in force; {0} gave none")]
    Unread(String),
    /// The text was read and is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Source {
    /// Reads the value of `SCALER_CONFIG`.
    ///
    /// # Errors
    /// [`SourceError::Malformed`] where what follows `ssm:` or `s3:` cannot be a name there.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let malformed = |allowed: &str| SourceError::Malformed {
            text: text.to_owned(),
            allowed: allowed.to_owned(),
        };
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::File(PathBuf::from(path)));
        }
        if let Some(name) = text.strip_prefix("ssm:") {
            return Some(name)
                .filter(|name| is_parameter(name))
                .map(|name| Self::Parameter(name.to_owned()))
                .ok_or_else(|| malformed(PARAMETER));
        }
        if let Some(rest) = text.strip_prefix("s3:") {
            let object = rest.strip_prefix("//").and_then(|object| object.split_once('/'));
            let object = object.filter(|(bucket, key)| is_bucket(bucket) && is_key(key));
            let (bucket, key) = object.ok_or_else(|| malformed(OBJECT))?;
            return Ok(Self::Object { bucket: bucket.to_owned(), key: key.to_owned() });
        }
        match meant::meant(text) {
            Meant::Yaml => Ok(Self::Inline(text.to_owned())),
            Meant::Unknown => Err(SourceError::Unknown),
            Meant::Other(allowed) => Err(malformed(&allowed)),
        }
    }

    /// What its mistakes are reported with: a file by its path, so that an editor finds the line.
    pub(crate) fn in_messages(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Inline(_) => "SCALER_CONFIG".to_owned(),
            Self::Parameter(_) | Self::Object { .. } => self.to_string(),
        }
    }

    /// Whether asking for its version costs nothing.
    pub fn is_free_to_ask(&self) -> bool {
        matches!(self, Self::File(_) | Self::Inline(_))
    }

    /// Reads what is there, `None` where that is the version that is known.
    ///
    /// # Errors
    /// When it cannot be read, or is not text of a reasonable length.
    pub async fn read(
        &self,
        cloud: &ReadCloud,
        known: Option<&Version>,
    ) -> Result<Option<Text>, SourceError> {
        match self {
            Self::Inline(text) => {
                let text = Text { version: Version::default(), text: text.clone() };
                Ok(known.is_none().then_some(text))
            }
            Self::File(path) => read_file(path, known),
            Self::Parameter(name) => {
                let parameter = cloud.parameter(name).await?;
                let version = Version {
                    name: Some(parameter.version.to_string()),
                    exact: format!("{} of {}", parameter.version, parameter.modified),
                };
                let text = Text { version, text: parameter.text };
                Ok((known != Some(&text.version)).then_some(text))
            }
            Self::Object { bucket, key } => {
                let unless = known.map(|version| version.exact.as_str());
                let Some(object) = cloud.object(bucket, key, unless).await? else {
                    return Ok(None);
                };
                let name = object.etag.trim_matches('"').to_owned();
                let version = Version { name: Some(name), exact: object.etag };
                Ok(Some(Text { version, text: text_of(object.bytes)? }))
            }
        }
    }
}

impl fmt::Display for Source {
    /// As in `SCALER_CONFIG`, but never the YAML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Parameter(name) => write!(f, "ssm:{name}"),
            Self::Object { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Inline(_) => f.write_str("inline"),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").field("version", &self.version).finish_non_exhaustive()
    }
}

const PARAMETER: &str = "after `ssm:` must come a parameter's name such as `/scaler/workers`, \
                         perhaps with `:version` or `:label`, or its ARN";

/// Source: SSM API, `PutParameterRequest.Name`, `GetParameterRequest.Name`.
fn is_parameter(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_.-/:".contains(c);
    (1..=2048).contains(&name.len()) && name.chars().all(legal) && !name.starts_with("//")
}

const OBJECT: &str = "an object is named `s3://bucket/key`";

/// Source: S3 user guide, "Bucket naming rules".
fn is_bucket(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    (3..=63).contains(&name.len()) && name.chars().all(legal)
}

/// Source: S3 user guide, "Object key naming guidelines".
fn is_key(key: &str) -> bool {
    (1..=1024).contains(&key.len())
}

/// A file that is being written settles in an instant.
const LOOKS: usize = 3;

fn read_file(path: &Path, known: Option<&Version>) -> Result<Option<Text>, SourceError> {
    let unreadable = |error: io::Error| SourceError::Unreadable {
        path: path.to_owned(),
        why: error.to_string(),
    };
    if known == Some(&version_of(path).map_err(unreadable)?) {
        return Ok(None);
    }
    let settled = settled(|| version_of(path), || bytes_of(path)).map_err(unreadable)?;
    let (version, bytes) = settled.ok_or_else(|| SourceError::Changing(path.to_owned()))?;
    Ok(Some(Text { version, text: text_of(bytes)? }))
}

/// What was read between two looks that saw the same, `None` where no two ever did.
fn settled(
    look: impl Fn() -> io::Result<Version>,
    read: impl Fn() -> io::Result<Vec<u8>>,
) -> io::Result<Option<(Version, Vec<u8>)>> {
    for _ in 0..LOOKS {
        let before = look()?;
        let bytes = read()?;
        if look()? == before {
            return Ok(Some((before, bytes)));
        }
    }
    Ok(None)
}

/// When it was written, and how long it is.
fn version_of(path: &Path) -> io::Result<Version> {
    let metadata = metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let written = Timestamp::try_from(metadata.modified()?).map_err(io::Error::other)?;
    let exact = format!("{} bytes of {written}", metadata.len());
    Ok(Version { name: Some(written.to_string()), exact })
}

/// No more of it than says that it is too large.
fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text_of(bytes: Vec<u8>) -> Result<String, SourceError> {
    if LARGEST < bytes.len() {
        return Err(SourceError::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| SourceError::NoText(error.utf8_error().valid_up_to()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_prefix_tells_the_source() {
        let parse = |text: &str| Source::parse(text).unwrap();
        assert_eq!(parse("file:workers.yaml"), Source::File(PathBuf::from("workers.yaml")));
        assert_eq!(parse("workers: []"), Source::Inline("workers: []".to_owned()));
        assert_eq!(
            parse("ssm:/scaler/workers:3"),
            Source::Parameter("/scaler/workers:3".to_owned())
        );
        let object =
            Source::Object { bucket: "a-bucket".to_owned(), key: "a key/b.yaml".to_owned() };
        assert_eq!(parse("s3://a-bucket/a key/b.yaml"), object);
        assert_eq!(object.to_string(), "s3://a-bucket/a key/b.yaml");
    }

    #[test]
    fn what_can_be_no_name_is_told() {
        let texts =
            ["ssm:", "ssm://scaler", "ssm:/a b", "s3:bucket/key", "s3://bucket", "s3://B/k"];
        let messages = texts.map(|text| Source::parse(text).unwrap_err().to_string());
        insta::assert_snapshot!(messages.join("\n"));
    }

    #[test]
    fn a_source_in_another_spelling_is_told_by_the_variable_and_the_form_that_was_meant() {
        let error = |text: &str| Source::parse(text).unwrap_err().to_string();
        assert_eq!(
            error("workers.yaml"),
            "SCALER_CONFIG is `workers.yaml`, write `file:workers.yaml`"
        );
        assert!(error("S3://bucket/key").contains("write `s3://bucket/key`"));
        let secret = error("hunter-2");
        assert!(secret.contains("SCALER_CONFIG") && !secret.contains("hunter-2"), "{secret}");
    }

    #[test]
    fn a_files_mistakes_begin_with_its_path() {
        let named = |text: &str| Source::parse(text).unwrap().in_messages();
        assert_eq!(named("file:etc/workers.yaml"), "etc/workers.yaml");
        assert_eq!(named("ssm:/scaler"), "ssm:/scaler");
        assert_eq!(named("workers: []"), "SCALER_CONFIG");
    }

    #[test]
    fn the_yaml_itself_is_never_shown() {
        assert_eq!(Source::parse("password: x").unwrap().to_string(), "inline");
    }

    #[test]
    fn a_file_that_is_missing_or_none_is_named() {
        let messages = ["no/such.yaml", "src"]
            .map(|path| read_file(Path::new(path), None).unwrap_err().to_string());
        insta::assert_snapshot!(messages.join("\n"));
    }

    #[test]
    fn a_file_is_read_once_for_each_version_of_it() {
        let file = Path::new("workers.yaml");
        let text = read_file(file, None).unwrap().unwrap();
        assert!(text.text.contains("workers:"));
        assert_eq!(read_file(file, Some(&text.version)), Ok(None));
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_read_again_three_times_at_most() {
        let reads = Cell::new(0);
        let read = || {
            reads.set(reads.get() + 1);
            Ok(vec![b'x'; reads.get()])
        };
        let look_that_changes_until = |last: usize| {
            let reads = &reads;
            move || Ok(Version { name: None, exact: reads.get().min(last).to_string() })
        };
        assert_eq!(settled(look_that_changes_until(2), read).unwrap().unwrap().1, b"xxx");
        reads.set(0);
        assert_eq!(settled(look_that_changes_until(9), read).unwrap(), None);
        assert_eq!(reads.get(), 3);
    }

    #[test]
    fn what_is_too_large_or_no_text_is_told() {
        assert_eq!(text_of(vec![b'x'; LARGEST + 1]), Err(SourceError::TooLarge));
        assert_eq!(text_of(b"a\xff".to_vec()), Err(SourceError::NoText(1)));
        assert!(text_of(vec![b'x'; LARGEST]).is_ok());
    }
}
