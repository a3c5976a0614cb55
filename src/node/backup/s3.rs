//! An S3-compatible store: addresses are signed by `rusty_s3`, requests are ours.
//!
//! What is larger than one part goes up in parts, so that no more than one is in memory; a store shows an
//! object when all of it is there. Every request has a deadline, every answer a bound.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use rusty_s3::{
    Bucket, Credentials, S3Action, UrlStyle,
    actions::{
        AbortMultipartUpload, CompleteMultipartUpload, CompleteMultipartUploadResponse,
        CreateMultipartUpload, ListObjectsV2,
    },
};
use tokio::time::timeout;

use crate::{
    base::{error::chain, task::Tasks},
    control::backup::{Archive, BackupError},
    http::client::{self, Trust},
    node::config,
};

/// One request with its answer: a part of this size takes so long at 1 Mbit/s.
const REQUEST: Duration = Duration::from_secs(90);
/// How long a signed address is good.
const SIGNED: Duration = Duration::from_secs(300);
/// One part; ten thousand of them are the most that stores take.
const PART_BYTES: usize = 8 << 20;
const PARTS_MAX: usize = 10_000;
/// Answers are lists of at most a thousand names.
const ANSWER_BYTES_MAX: usize = 2 << 20;
/// Lists that are asked for one after the other.
const LISTS_MAX: usize = 100;
/// Of what a store says of an error.
const SAID_CHARS_MAX: usize = 300;

/// The store.
pub struct S3 {
    bucket: Bucket,
    credentials: Credentials,
    prefix: String,
    endpoint: String,
    trust: Trust,
    tasks: Tasks,
}

type Answer = (HeaderMap, Bytes);

impl S3 {
    /// # Errors
    /// When its address or certificates are of no use.
    pub fn open(of: &config::Bucket, tasks: &Tasks) -> Result<Self, BackupError> {
        let bad = |why: &dyn std::fmt::Display| {
            BackupError::Place(format!("{} cannot be used as a store: {why}", of.endpoint))
        };
        let endpoint = of.endpoint.parse().map_err(|error| bad(&error))?;
        let named = (of.bucket.clone(), of.region.clone());
        let bucket = Bucket::new(endpoint, UrlStyle::Path, named.0, named.1)
            .map_err(|error| bad(&format!("{error:?}")))?;
        let trust = match &of.ca {
            Some(file) => Trust::of_file(file).map_err(|error| bad(&error))?,
            None => Trust::native(),
        };
        Ok(Self {
            bucket,
            credentials: Credentials::new(of.key_id.clone(), of.secret.clone()),
            prefix: of.prefix.clone(),
            endpoint: of.endpoint.clone(),
            trust,
            tasks: tasks.child("s3"),
        })
    }

    /// Names and sizes of what begins with `name`.
    pub async fn list(&self, name: &str) -> Result<Vec<(String, u64)>, BackupError> {
        let mut found = Vec::new();
        let mut from: Option<String> = None;
        for _ in 0..LISTS_MAX {
            let mut list = self.bucket.list_objects_v2(Some(&self.credentials));
            list.with_prefix(format!("{}{name}", self.prefix));
            if let Some(from) = from.take() {
                list.with_continuation_token(from);
            }
            let (_, body) = self.ask(Method::GET, &list, Bytes::new()).await?;
            let read = ListObjectsV2::parse_response(&String::from_utf8_lossy(&body));
            let read = read.map_err(|error| self.odd("list", &error))?;
            found.extend(read.contents.into_iter().filter_map(|object| {
                let name = object.key.strip_prefix(&self.prefix)?.to_owned();
                Some((name, object.size.unwrap_or_default()))
            }));
            match read.next_continuation_token {
                Some(next) => from = Some(next),
                None => return Ok(found),
            }
        }
        Err(self.odd("list", &"it does not end"))
    }

    pub async fn remove(&self, name: &str) -> Result<(), BackupError> {
        let key = self.key(name);
        let remove = self.bucket.delete_object(Some(&self.credentials), &key);
        self.ask(Method::DELETE, &remove, Bytes::new()).await.map(drop)
    }

    pub async fn put(&self, mut archive: Archive) -> Result<u64, BackupError> {
        let key = self.key(&archive.name);
        let first = next_part(&mut archive).await?;
        if first.len() < PART_BYTES {
            let n_bytes = first.len() as u64;
            let put = self.bucket.put_object(Some(&self.credentials), &key);
            self.ask(Method::PUT, &put, first).await?;
            return Ok(n_bytes);
        }
        let create = CreateMultipartUpload::new(&self.bucket, Some(&self.credentials), &key);
        let (_, body) = self.ask(Method::POST, &create, Bytes::new()).await?;
        let begun = CreateMultipartUpload::parse_response(&String::from_utf8_lossy(&body));
        let begun = begun.map_err(|error| self.odd("upload", &error))?;
        let put = self.put_parts(archive, &key, begun.upload_id(), first).await;
        if put.is_err() {
            let (of, id) = (Some(&self.credentials), begun.upload_id());
            let abort = AbortMultipartUpload::new(&self.bucket, of, &key, id);
            if let Err(error) = self.ask(Method::DELETE, &abort, Bytes::new()).await {
                tracing::warn!(%error, key, "parts of a backup stay in the store");
            }
        }
        put
    }

    async fn put_parts(
        &self,
        mut archive: Archive,
        key: &str,
        upload: &str,
        first: Bytes,
    ) -> Result<u64, BackupError> {
        let (mut part, mut n_bytes, mut tags) = (first, 0, Vec::new());
        while !part.is_empty() {
            if tags.len() == PARTS_MAX {
                let most = PARTS_MAX * PART_BYTES;
                return Err(BackupError::Place(format!("it is larger than {most} bytes")));
            }
            let number = u16::try_from(tags.len() + 1).unwrap_or(u16::MAX);
            n_bytes += part.len() as u64;
            let of = Some(&self.credentials);
            let put = self.bucket.upload_part(of, key, number, upload);
            let (headers, _) = self.ask(Method::PUT, &put, part).await?;
            let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
            let tag = tag.ok_or_else(|| self.odd("upload", &"a part has no tag"))?;
            tags.push(tag.to_owned());
            part = next_part(&mut archive).await?;
        }
        let tags = || tags.iter().map(String::as_str);
        let complete = || {
            let of = Some(&self.credentials);
            CompleteMultipartUpload::new(&self.bucket, of, key, upload, tags())
        };
        let (_, body) = self.ask(Method::POST, &complete(), complete().body().into()).await?;
        let done = CompleteMultipartUploadResponse::parse(&String::from_utf8_lossy(&body));
        done.map_err(|_| self.odd("upload", &said(&body)))?;
        Ok(n_bytes)
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Sends a request whose answer says that it was done.
    async fn ask<'a>(
        &'a self,
        method: Method,
        action: &impl S3Action<'a>,
        body: Bytes,
    ) -> Result<Answer, BackupError> {
        let failed = |why: String| BackupError::Place(format!("{}: {why}", self.endpoint));
        let address = action.sign(SIGNED);
        let uri = address.as_str().parse();
        let uri = uri.map_err(|error: http::uri::InvalidUri| failed(error.to_string()))?;
        let exchange = async {
            let answer = client::send(method, &uri, body, &self.trust, &self.tasks).await;
            let (head, body) = answer.map_err(|error| failed(chain(&error)))?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| failed(error.to_string()))?.to_bytes();
            match head.status {
                status if status.is_success() => Ok((head.headers, body)),
                StatusCode::NOT_FOUND if said(&body).is_empty() => Err(failed("404".to_owned())),
                status => Err(failed(format!("{} {}", status.as_u16(), said(&body)))),
            }
        };
        let late = || failed(format!("no answer within {} s", REQUEST.as_secs()));
        timeout(REQUEST, exchange).await.unwrap_or_else(|_| Err(late()))
    }

    fn odd(&self, what: &str, why: &dyn std::fmt::Display) -> BackupError {
        BackupError::Place(format!("{}: its answer to the {what} is odd: {why}", self.endpoint))
    }
}

/// As much as one part takes; less at the end.
async fn next_part(archive: &mut Archive) -> Result<Bytes, BackupError> {
    let mut part = Vec::new();
    while part.len() < PART_BYTES {
        match archive.pieces.recv().await {
            Some(Ok(piece)) => part.extend_from_slice(&piece),
            Some(Err(error)) => return Err(BackupError::Place(error)),
            None => break,
        }
    }
    Ok(part.into())
}

/// Code and message of an error in XML, as far as there are any.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let within = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (inner, _) = rest.split_once("</")?;
        let inner: String = inner.chars().filter(|c| !c.is_control()).collect();
        Some(inner.chars().take(SAID_CHARS_MAX).collect::<String>())
    };
    let parts: Vec<String> = ["Code", "Message"].into_iter().filter_map(within).collect();
    parts.join(": ")
}

#[cfg(test)]
mod tests;
