//! Getting images onto the engine: pulls with credentials and progress, and imports of our own.

use std::{collections::HashMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bollard::{
    auth::DockerCredentials,
    models::{CreateImageInfo, ProgressDetail},
    query_parameters::CreateImageOptions,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Deserialize;

use super::engine::{Engine, EngineError};

/// A pull whose registry says nothing for this long has failed.
const PULL_SILENCE_MAX: Duration = Duration::from_secs(120);
/// The registry of names without one.
const DEFAULT_REGISTRY: &str = "docker.io";

/// Credentials by registry, as `docker login` stores them in `.docker/config.json`.
#[derive(Debug, Default, Deserialize)]
pub struct RegistryLogins {
    #[serde(default)]
    auths: HashMap<String, Login>,
}

#[derive(Debug, Default, Deserialize)]
struct Login {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl RegistryLogins {
    /// Reads `config.json`, or the older `.dockercfg` whose top level holds the registries.
    pub fn parse(text: &str) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        if value.get("auths").is_some() {
            return serde_json::from_value(value).ok();
        }
        serde_json::from_value(value).ok().map(|auths| Self { auths })
    }

    /// The credentials for the registry of `image`.
    fn for_image(&self, image: &str) -> Option<DockerCredentials> {
        let registry = registry_of(image);
        let (address, login) = self.auths.iter().find(|(address, _)| {
            let bare = bare_registry(address);
            bare == registry || (registry == DEFAULT_REGISTRY && bare == "index.docker.io")
        })?;
        let decoded = login
            .auth
            .as_deref()
            .and_then(|a| STANDARD.decode(a.trim()).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let (user, password) = match decoded.as_deref().and_then(|d| d.split_once(':')) {
            Some((user, password)) => (Some(user.to_owned()), Some(password.to_owned())),
            None => (login.username.clone(), login.password.clone()),
        };
        Some(DockerCredentials {
            username: user,
            password,
            serveraddress: Some(address.clone()),
            identitytoken: login.identitytoken.clone(),
            ..DockerCredentials::default()
        })
    }
}

/// The registry an image name points to.
fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains('.') || first.contains(':') || first == "localhost" => {
            first
        }
        _ => DEFAULT_REGISTRY,
    }
}

fn bare_registry(address: &str) -> &str {
    let bare = address.trim_start_matches("https://").trim_start_matches("http://");
    bare.split('/').next().unwrap_or(bare)
}

/// Name and tag for a pull; a digest counts as part of the name, no tag means `latest`.
fn name_and_tag(image: &str) -> (String, Option<String>) {
    if image.contains('@') {
        return (image.to_owned(), None);
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name.to_owned(), Some(tag.to_owned())),
        _ => (image.to_owned(), Some("latest".to_owned())),
    }
}

impl Engine {
    /// Pulls `image`, telling its progress (a text for people) as it changes.
    pub async fn pull(
        &self,
        image: &str,
        logins: &RegistryLogins,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), EngineError> {
        let (name, tag) = name_and_tag(image);
        let options = CreateImageOptions { from_image: Some(name), tag, ..Default::default() };
        let client = self.client().await?;
        let mut stream =
            Box::pin(client.create_image(Some(options), None, logins.for_image(image)));
        let mut layers = Layers::default();
        loop {
            match tokio::time::timeout(PULL_SILENCE_MAX, stream.next()).await {
                Ok(None) => return Ok(()),
                Ok(Some(Ok(info))) => {
                    if let Some(percent) = layers.take(info) {
                        progress(format!("pulling image {image}: {percent} %"));
                    }
                }
                Ok(Some(Err(error))) => return Err(self.error(&error)),
                Err(_) => {
                    let message =
                        format!("the registry sent nothing for {} s", PULL_SILENCE_MAX.as_secs());
                    return Err(EngineError::Refused { status: 504, message });
                }
            }
        }
    }

    /// Makes an image with `tar` as its only layer.
    pub async fn import(&self, repo: &str, tag: &str, tar: Vec<u8>) -> Result<(), EngineError> {
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(repo.to_owned()),
            tag: Some(tag.to_owned()),
            ..Default::default()
        };
        let client = self.client().await?;
        let body = bollard::body_full(Bytes::from(tar));
        let mut stream = Box::pin(client.create_image(Some(options), Some(body), None));
        while let Some(item) = stream.next().await {
            item.map_err(|e| self.error(&e))?;
        }
        Ok(())
    }

    /// Whether the engine has `image`.
    pub async fn has_image(&self, image: &str) -> Result<bool, EngineError> {
        let client = self.client().await?;
        match client.inspect_image(image).await.map_err(|e| self.error(&e)) {
            Ok(_) => Ok(true),
            Err(EngineError::NoSuch(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Progress over the layers of a pull.
#[derive(Default)]
struct Layers {
    bytes: HashMap<String, (i64, i64)>,
    told: i64,
}

impl Layers {
    /// The percentage when it has moved by at least five points.
    fn take(&mut self, info: CreateImageInfo) -> Option<i64> {
        let (id, ProgressDetail { current, total }) = (info.id?, info.progress_detail?);
        self.bytes.insert(id, (current?, total?));
        let (done, all) = self.bytes.values().fold((0, 0), |(d, a), (c, t)| (d + c, a + t));
        let percent = done.saturating_mul(100).checked_div(all)?.clamp(0, 100);
        (percent >= self.told + 5).then(|| {
            self.told = percent;
            percent
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tags_and_registries() {
        for (image, name, tag, registry) in [
            ("redis", "redis", Some("latest"), "docker.io"),
            ("a/b:1", "a/b", Some("1"), "docker.io"),
            ("r.example:5000/a/b", "r.example:5000/a/b", Some("latest"), "r.example:5000"),
            ("localhost/a:2", "localhost/a", Some("2"), "localhost"),
            ("a@sha256:00", "a@sha256:00", None, "docker.io"),
        ] {
            assert_eq!(name_and_tag(image), (name.to_owned(), tag.map(str::to_owned)), "{image}");
            assert_eq!(registry_of(image), registry, "{image}");
        }
    }

    #[test]
    fn logins_of_both_formats() {
        let auth = STANDARD.encode("u:p:q");
        let new = format!(r#"{{"auths":{{"https://r.example/v1/":{{"auth":"{auth}"}}}}}}"#);
        let old = format!(r#"{{"r.example":{{"auth":"{auth}","email":"x"}}}}"#);
        for text in [new, old] {
            let logins = RegistryLogins::parse(&text).unwrap();
            let found = logins.for_image("r.example/a").unwrap();
            assert_eq!(found.username.as_deref(), Some("u"));
            assert_eq!(found.password.as_deref(), Some("p:q"));
            assert!(logins.for_image("redis").is_none());
        }
    }
}
