//! Where the configuration comes from: `SCALER_CONFIG`.

use std::path::PathBuf;

use super::{Config, ConfigError};

/// A place that holds a configuration. Sources on AWS join here as variants of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `file:PATH`, relative to the working directory (in Lambda, the function's package).
    File(PathBuf),
    /// The YAML itself.
    Inline(String),
}

/// Why a source gave no configuration.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The text names a source that this version cannot read.
    #[error(
        "SCALER_CONFIG is `{0}`, this version reads `file:PATH` or the YAML itself; \
         put the configuration into the package or into the variable"
    )]
    Unsupported(String),
    /// The file is not there or not readable.
    #[error("cannot read `{}`, which SCALER_CONFIG names; is it in the package?", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The text was read and is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Source {
    /// Reads the value of `SCALER_CONFIG`.
    ///
    /// # Errors
    /// [`SourceError::Unsupported`] for `ssm:` and `s3:`.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::File(PathBuf::from(path)));
        }
        if text.starts_with("ssm:") || text.starts_with("s3:") {
            return Err(SourceError::Unsupported(text.to_owned()));
        }
        Ok(Self::Inline(text.to_owned()))
    }

    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// When the file cannot be read, or the whole of the configuration cannot be used.
    pub fn read(&self) -> Result<Config, SourceError> {
        match self {
            Self::Inline(text) => Ok(Config::parse(text)?),
            Self::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| SourceError::Unreadable { path: path.clone(), source })?;
                Ok(Config::parse(&text)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_tells_the_source() {
        let file = Source::parse("file:workers.yaml").unwrap();
        assert_eq!(file, Source::File(PathBuf::from("workers.yaml")));
        let inline = Source::parse("workers: []").unwrap();
        assert_eq!(inline, Source::Inline("workers: []".to_owned()));
        for text in ["ssm:/scaler/config", "s3://bucket/key"] {
            let message = Source::parse(text).unwrap_err().to_string();
            assert!(message.contains(text) && message.contains("file:PATH"), "{message}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Source::File(PathBuf::from("no/such.yaml")).read().unwrap_err();
        assert!(error.to_string().contains("no/such.yaml"), "{error}");
    }
}
