//! What each answer of a master says of how fresh it is.
//!
//! Every master answers reads from the state it has, also one that is cut off from the others.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, header};
use tokio::time::Instant;

use crate::{
    control::cluster::Cluster,
    http::{Handler, Request, Response},
    log::Contact,
};

/// Milliseconds since when newer changes may be missing in the answer.
const CONTACT: HeaderName = HeaderName::from_static("tepui-last-contact-ms");
/// Of an answer of a master without touch with a majority.
const STALE: HeaderValue =
    HeaderValue::from_static("110 tepui \"this master hears no majority of the masters\"");

/// A handler whose answers say how fresh they are.
pub struct Fresh {
    pub inner: Arc<dyn Handler>,
    pub cluster: Arc<dyn Cluster>,
}

impl Handler for Fresh {
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let is_read = request.method().is_safe();
            let (before, asked_at) = (self.cluster.contact(), Instant::now());
            let mut answer = self.inner.call(request).await;
            // What it tells was looked at some time since it was asked for, but for a change that it
            // made itself.
            let contact = if is_read || !answer.status().is_success() {
                before.map(|contact| contact.aged(asked_at.elapsed()))
            } else {
                self.cluster.contact()
            };
            if let Some(contact) = contact {
                tell(&mut answer, &contact);
            }
            answer
        })
    }
}

fn tell(answer: &mut Response, contact: &Contact) {
    let headers = answer.headers_mut();
    if let Some(ago) = contact.ago {
        let ms = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        headers.insert(CONTACT, ms.into());
    }
    if contact.is_stale {
        headers.insert(header::WARNING, STALE);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::reply;

    fn told(ago_ms: Option<u64>, is_stale: bool) -> (Option<String>, Option<String>) {
        let ago = ago_ms.map(Duration::from_millis);
        let mut answer = reply::empty(http::StatusCode::OK);
        tell(&mut answer, &Contact { term: 3, leader: None, ago, is_stale });
        let header = |name: &HeaderName| {
            let value = answer.headers().get(name)?;
            Some(value.to_str().expect("text").to_owned())
        };
        (header(&CONTACT), header(&header::WARNING))
    }

    #[test]
    fn an_answer_says_how_old_it_may_be_and_warns_when_that_is_too_old() {
        assert_eq!(told(Some(120), false), (Some("120".to_owned()), None));
        let (contact, warning) = told(Some(4_000), true);
        assert_eq!(contact.as_deref(), Some("4000"));
        assert!(warning.expect("a warning").starts_with("110 tepui "));
        let (contact, warning) = told(None, true);
        assert!(contact.is_none() && warning.is_some(), "nothing was heard since the start");
    }
}
