//! What a terminal looks at beside what a tick reads: images, logs, secrets, quotas, who else takes messages.

use serde_json::{Map, Value, json};

use super::ReadCloud;
use super::answer::Answer;
use super::pace::{About, Rate};
use super::signed::{Ask, Request, Service};
use super::stores::encoded;
use decision::snapshot::{CallError, Read, ReadError};
use decision::units::ClusterName;

/// Pages of parameters, which may be empty.
const MOST_PAGES: usize = 20;

/// An image in ECR.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EcrImage {
    /// The account whose registry it is in.
    pub account: String,
    /// The Region of the registry.
    pub region: String,
    /// Its repository.
    pub repository: String,
    /// Its tag, or its digest.
    pub reference: Reference,
}

/// Which image of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// By its tag.
    Tag(String),
    /// By its digest.
    Digest(String),
}

/// Whether an image is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundImage {
    /// It is.
    There,
    /// Its repository is not.
    NoRepository,
    /// It is not, and this is the newest tag that there is.
    Missing(Option<String>),
}

impl EcrImage {
    /// An image that is in a private registry of ECR; others are nobody's that could be asked.
    pub fn parse(image: &str) -> Option<Self> {
        let (host, rest) = image.split_once('/')?;
        let mut parts = host.split('.');
        let (account, dkr, ecr) = (parts.next()?, parts.next()?, parts.next()?);
        let region = parts.next()?;
        if dkr != "dkr" || !ecr.starts_with("ecr") || !account.bytes().all(|c| c.is_ascii_digit()) {
            return None;
        }
        let (repository, reference) = match rest.split_once('@') {
            Some((repository, digest)) => {
                let repository = repository.split(':').next().unwrap_or_default();
                (repository, Reference::Digest(digest.to_owned()))
            }
            None => match rest.rsplit_once(':') {
                Some((repository, tag)) => (repository, Reference::Tag(tag.to_owned())),
                None => (rest, Reference::Tag("latest".to_owned())),
            },
        };
        Some(Self {
            account: account.to_owned(),
            region: region.to_owned(),
            repository: repository.to_owned(),
            reference,
        })
    }
}

impl ReadCloud {
    pub(super) async fn look(
        &self,
        about: About<'_>,
        service: Service,
        body: Value,
    ) -> Result<Answer, CallError> {
        let ask = Ask::Document(body.to_string());
        self.ask(about, Request::new(service, about.operation, ask)).await
    }

    /// Whether an image is in its repository.
    ///
    /// # Errors
    /// When that may not be read.
    pub async fn image(&self, image: &EcrImage) -> Read<FoundImage> {
        let EcrImage { account, repository, reference, .. } = image;
        let about = About { operation: "DescribeImages", subject: repository, rate: Rate::Free };
        let id = match reference {
            Reference::Tag(tag) => json!({"imageTag": tag}),
            Reference::Digest(digest) => json!({"imageDigest": digest}),
        };
        let body = json!({"registryId": account, "repositoryName": repository, "imageIds": [id]});
        match self.look(about, Service::Ecr, body).await {
            Ok(_) => Ok(FoundImage::There),
            Err(error) if is_code(&error, "RepositoryNotFoundException") => {
                Ok(FoundImage::NoRepository)
            }
            Err(error) if is_code(&error, "ImageNotFoundException") => {
                Ok(FoundImage::Missing(self.newest_tag(image).await))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Where there are a hundred at most.
    async fn newest_tag(&self, image: &EcrImage) -> Option<String> {
        let EcrImage { account, repository, .. } = image;
        let about = About { operation: "DescribeImages", subject: repository, rate: Rate::Free };
        let body = json!({"registryId": account, "repositoryName": repository,
            "filter": {"tagStatus": "TAGGED"}, "maxResults": 100});
        let answer = self.look(about, Service::Ecr, body).await.ok()?.json();
        // They come in no order: of a part nothing is the newest.
        if answer.get("nextToken").is_some_and(Value::is_string) {
            return None;
        }
        let images = answer.get("imageDetails")?.as_array()?.iter();
        let pushed = |image: &&Value| {
            let pushed = image.get("imagePushedAt").and_then(Value::as_f64).unwrap_or_default();
            pushed.max(0.0).to_bits()
        };
        let newest = images.max_by_key(pushed)?;
        Some(newest.get("imageTags")?.as_array()?.first()?.as_str()?.to_owned())
    }

    /// Whether a log group is there.
    ///
    /// # Errors
    /// When that may not be read.
    pub async fn has_log_group(&self, name: &str) -> Read<bool> {
        let about = About { operation: "DescribeLogGroups", subject: name, rate: Rate::Free };
        let body = json!({"logGroupNamePrefix": name});
        let answer = self.look(about, Service::Logs, body).await?.json();
        let groups = answer.get("logGroups").and_then(Value::as_array);
        let mut names = groups.into_iter().flatten().filter_map(|group| group.get("logGroupName"));
        Ok(names.any(|found| found.as_str() == Some(name)))
    }

    /// Whether a secret or a parameter is there that a container gets; what it holds is not read.
    ///
    /// # Errors
    /// When that may not be read.
    pub async fn has_secret(&self, value_from: &str) -> Read<bool> {
        if let Some(secret) = secret_of(value_from) {
            let about = About { operation: "DescribeSecret", subject: secret, rate: Rate::Free };
            let body = json!({"SecretId": secret});
            return match self.look(about, Service::Secrets, body).await {
                // One that is being deleted gives no value.
                Ok(answer) => Ok(answer.json().get("DeletedDate").is_none()),
                Err(error) if is_code(&error, "ResourceNotFoundException") => Ok(false),
                Err(error) => Err(error.into()),
            };
        }
        let names = parameters_of(value_from);
        let subject = names.first().map(String::as_str).unwrap_or_default();
        let about = About { operation: "DescribeParameters", subject, rate: Rate::Free };
        let filter = json!({"Key": "Name", "Option": "Equals", "Values": names});
        let mut body = Map::from_iter([("ParameterFilters".to_owned(), json!([filter]))]);
        // A page may have none although others follow.
        for _ in 0..MOST_PAGES {
            let answer = self.look(about, Service::Ssm, body.clone().into()).await?.json();
            let found = answer.get("Parameters").and_then(Value::as_array);
            if found.is_some_and(|found| !found.is_empty()) {
                return Ok(true);
            }
            match answer.get("NextToken").filter(|token| token.is_string()) {
                Some(token) => drop(body.insert("NextToken".to_owned(), token.clone())),
                None => return Ok(false),
            }
        }
        Err(ReadError::Answer {
            operation: "DescribeParameters",
            what: format!("it has {MOST_PAGES} empty pages"),
        })
    }

    /// Whether ECR makes a repository at the first pull from it, by a rule of its registry.
    ///
    /// # Errors
    /// When that may not be read.
    pub async fn is_pulled_through(&self, image: &EcrImage) -> Read<bool> {
        let EcrImage { account, repository, .. } = image;
        let (operation, rate) = ("DescribePullThroughCacheRules", Rate::Free);
        let about = About { operation, subject: account, rate };
        let body = json!({"registryId": account, "maxResults": 1000});
        let answer = self.look(about, Service::Ecr, body).await?.json();
        let rules = answer.get("pullThroughCacheRules").and_then(Value::as_array);
        let prefixes =
            rules.into_iter().flatten().filter_map(|rule| rule.get("ecrRepositoryPrefix"));
        let mut prefixes = prefixes.filter_map(Value::as_str);
        // Source: ECR API, `CreatePullThroughCacheRule.ecrRepositoryPrefix`.
        Ok(prefixes.any(|prefix| {
            let rest = repository.strip_prefix(prefix);
            prefix == "ROOT" || rest.is_some_and(|rest| rest.starts_with('/'))
        }))
    }

    /// How many vCPU of Fargate the account may run at once.
    ///
    /// # Errors
    /// When that may not be read.
    pub async fn vcpu_quota(&self, is_spot: bool) -> Read<f64> {
        // Source: ECS developer guide, "Amazon ECS service quotas", "AWS Fargate service quotas".
        let code = if is_spot { "L-36FBB829" } else { "L-3032A538" };
        let about = About { operation: "GetServiceQuota", subject: code, rate: Rate::Free };
        let body = json!({"ServiceCode": "fargate", "QuotaCode": code});
        let answer = self.look(about, Service::Quotas, body).await?.json();
        answer.pointer("/Quota/Value").and_then(Value::as_f64).ok_or_else(|| ReadError::Answer {
            operation: "GetServiceQuota",
            what: "it has no Value".to_owned(),
        })
    }

    /// The Lambda functions that take messages from a queue.
    ///
    /// # Errors
    /// When that may not be read.
    pub async fn functions_at(&self, queue_arn: &str) -> Read<Vec<String>> {
        let (operation, rate) = ("ListEventSourceMappings", Rate::Free);
        let about = About { operation, subject: queue_arn, rate };
        let path = format!(
            "/2015-03-31/event-source-mappings/?EventSourceArn={}",
            encoded(queue_arn).replace('/', "%2F")
        );
        let request = Request { path, ..Request::new(Service::Lambda, operation, Ask::Nothing) };
        let answer = self.ask(about, request).await?.json();
        let mappings = answer.get("EventSourceMappings").and_then(Value::as_array);
        let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned);
        let enabled = mappings.into_iter().flatten().filter(|mapping| {
            let state = text(mapping, "State").unwrap_or_default();
            !state.starts_with("Disabl") && state != "Deleting"
        });
        let names = enabled.filter_map(|mapping| text(mapping, "FunctionArn"));
        Ok(names
            .map(|arn| arn.rsplit(":function:").next().unwrap_or_default().to_owned())
            .collect())
    }

    /// The capacity providers of a cluster; none where there is no such cluster that is ACTIVE.
    ///
    /// # Errors
    /// When that may not be read.
    pub async fn capacity_providers(&self, cluster: &ClusterName) -> Read<Option<Vec<String>>> {
        let (operation, rate) = ("DescribeClusters", Rate::ClusterRead);
        let about = About { operation, subject: cluster.as_str(), rate };
        let call = self.ecs.describe_clusters().clusters(cluster.as_str());
        let answer = self.pace.call(about, async || call.clone().send().await).await;
        let answer = answer.map_err(|error| error.into_call_error(about))?;
        let mut active = answer.clusters().iter().filter(|found| found.status() == Some("ACTIVE"));
        Ok(active.next().map(|found| found.capacity_providers().to_vec()))
    }
}

fn is_code(error: &CallError, code: &str) -> bool {
    error.code.as_deref() == Some(code)
}

/// The secret that is meant, without the key, stage and version that may follow its ARN.
/// Source: ECS developer guide, "Pass Secrets Manager secrets through environment variables".
fn secret_of(value_from: &str) -> Option<&str> {
    if !(value_from.starts_with("arn:") && value_from.contains(":secretsmanager:")) {
        return None;
    }
    let end = value_from.match_indices(':').nth(6).map_or(value_from.len(), |(at, _)| at);
    value_from.get(..end)
}

/// The names that are meant. The ARN of `key` and that of `/key` are the same.
fn parameters_of(value_from: &str) -> Vec<String> {
    match value_from.split_once(":parameter") {
        Some((_, name)) if name.matches('/').count() == 1 => {
            vec![name.trim_start_matches('/').to_owned(), name.to_owned()]
        }
        Some((_, name)) => vec![name.to_owned()],
        None => vec![value_from.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_ecr_is_known_by_its_host() {
        let of =
            |text: &str| EcrImage::parse(text).map(|image| (image.repository, image.reference));
        let host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
        let tag = |tag: &str| Reference::Tag(tag.to_owned());
        assert_eq!(of(&format!("{host}/a/b:1.2")), Some(("a/b".to_owned(), tag("1.2"))));
        assert_eq!(of(&format!("{host}/a")), Some(("a".to_owned(), tag("latest"))));
        let digest = Reference::Digest("sha256:0a".to_owned());
        assert_eq!(of(&format!("{host}/a:1@sha256:0a")), Some(("a".to_owned(), digest)));
        for other in ["busybox", "public.ecr.aws/x/y:1", "ghcr.io/a/b", "localhost:5000/a"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_secret_is_asked_for_by_its_own_name() {
        let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf";
        assert_eq!(secret_of(&format!("{arn}:password::")), Some(arn));
        assert_eq!(secret_of(arn), Some(arn));
        assert_eq!(secret_of("/jobs/key"), None);
        let of = |name: &str| parameters_of(&format!("arn:aws:ssm:r:1:parameter{name}"));
        assert_eq!(
            (of("/key"), of("/jobs/key")),
            (vec!["key".to_owned(), "/key".to_owned()], vec!["/jobs/key".to_owned()])
        );
        assert_eq!(parameters_of("/jobs/key"), ["/jobs/key"]);
    }
}
