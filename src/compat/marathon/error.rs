//! Errors as the original words them: the one place that knows statuses and bodies
//! (docs/compat/marathon.md, "Errors").

use http::StatusCode;
use serde::Serialize;

use super::{json::Violations, normalize::Conflict};
use crate::{
    base::clock::Timestamp,
    control::cluster,
    core::{Rejected, Subject, Thing},
    http::{
        RequestId, Response,
        body::BodyError,
        reply::{self, Reply},
    },
    log::ProposeError,
    model::{deployment::DeploymentId, path::AppId},
};

/// Why a request is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not JSON; the parser's text.
    #[error("Invalid JSON")]
    NotJson(String),
    /// There is no body where one is needed.
    #[error("Please specify data in JSON format")]
    NoBody,
    /// Values of wrong types or out of bounds.
    #[error("Invalid JSON")]
    Types(Violations),
    /// Rules of the object are broken.
    #[error("Object is not valid")]
    Rules(Violations),
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// 400 with a text.
    #[error("{0}")]
    BadRequest(String),
    /// 422 with a text: an argument that makes no sense.
    #[error("{0}")]
    Argument(String),
    #[error("{0}")]
    NotFound(String),
    /// 409 with a text.
    #[error("{0}")]
    Exists(String),
    /// 409: somebody else changed the app after the change was begun.
    #[error("App '{app}' was changed at {now}, after the version {base} this change was made from")]
    Changed { app: AppId, base: Timestamp, now: Timestamp },
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error("{0}")]
    Unavailable(String),
    /// Nobody decided it.
    #[error(transparent)]
    Undecided(cluster::Error),
    #[error(transparent)]
    Body(#[from] BodyError),
    /// 406, 415 and their like: the status tells it all.
    #[error("{}", .0.canonical_reason().unwrap_or("error"))]
    Status(StatusCode),
}

#[derive(Serialize)]
struct Body<'a, D: Serialize> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<D>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployments: Option<Vec<Id<'a>>>,
}

#[derive(Serialize)]
struct Id<'a> {
    id: &'a DeploymentId,
}

fn body<D: Serialize>(status: StatusCode, message: &str, details: Option<D>) -> Response {
    reply::json(status, &Body { message, details, deployments: None })
}

/// `{"message":…}` under a status.
pub fn plain(status: StatusCode, message: &str) -> Response {
    body(status, message, None::<()>)
}

impl Error {
    /// One broken rule.
    pub fn rule(path: &str, text: impl Into<String>) -> Self {
        let mut violations = Violations::default();
        violations.add(path, text);
        Self::Rules(violations)
    }

    /// The answer to the caller.
    pub fn response(&self) -> Response {
        let text = self.to_string();
        match self {
            Self::NotJson(details) => body(StatusCode::BAD_REQUEST, &text, Some(details)),
            Self::NoBody => body(StatusCode::BAD_REQUEST, &text, Some("the request body is empty")),
            Self::Types(violations) | Self::Rules(violations) => {
                body(StatusCode::UNPROCESSABLE_ENTITY, &text, Some(violations))
            }
            Self::Conflict(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, &text),
            Self::BadRequest(_) => plain(StatusCode::BAD_REQUEST, &text),
            Self::Argument(_) => plain(StatusCode::UNPROCESSABLE_ENTITY, &text),
            Self::NotFound(_) => body(StatusCode::NOT_FOUND, &text, Some([(); 0])),
            Self::Exists(_) => plain(StatusCode::CONFLICT, &text),
            Self::Changed { now, .. } => {
                let body = serde_json::json!({"message": text, "version": now.to_string()});
                reply::json(StatusCode::CONFLICT, &body)
            }
            Self::Rejected(rejected) => self::rejected(rejected),
            Self::Undecided(cluster::Error::Log(ProposeError::TooLarge { .. })) => {
                plain(StatusCode::PAYLOAD_TOO_LARGE, &text)
            }
            Self::Undecided(cluster::Error::Elsewhere(_)) => {
                plain(StatusCode::MISDIRECTED_REQUEST, &text)
            }
            Self::Unavailable(_) | Self::Undecided(_) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, &text)
            }
            Self::Body(error) => plain(error.status(), &text),
            Self::Status(status) => plain(*status, &text),
        }
    }
}

impl Reply for Error {
    fn reply(self, request: RequestId) -> Response {
        if let Self::Undecided(error) = &self {
            tracing::warn!(request = %request, %error, "command has no outcome");
        }
        self.response()
    }
}

/// What the state refused, in the original's words.
pub fn rejected(rejected: &Rejected) -> Response {
    use Rejected as R;
    let status = match rejected {
        R::NotFound(_) => StatusCode::NOT_FOUND,
        R::Exists(_)
        | R::Stale(_)
        | R::Busy(_)
        | R::Last(_)
        | R::Denied { .. }
        | R::HeldBack { .. }
        | R::TooOld { .. } => StatusCode::CONFLICT,
        R::TooMany { .. } => StatusCode::FORBIDDEN,
        R::Exhausted { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        R::Locked { deployments, .. } => return locked(deployments),
        R::Taken(it) => {
            let path = &it.id;
            let text = format!("Groups and Applications may not have the same identifier: {path}");
            return rule("/", text);
        }
        R::Cycle(apps) => {
            let list: Vec<&str> = apps.iter().map(|app| app.as_str()).collect();
            let list = list.join(" -> ");
            return rule("/", format!("Dependency graph has cyclic dependencies: {list}"));
        }
        R::Invalid { field, problem } => return rule(field, problem.clone()),
    };
    let message = own_words(rejected).unwrap_or_else(|| rejected.to_string());
    match rejected {
        R::NotFound(Subject { of: Thing::Deployment | Thing::Queue, .. }) => {
            body(status, &message, Some([(); 0]))
        }
        _ => plain(status, &message),
    }
}

/// How the original speaks of the things it knows.
fn own_words(rejected: &Rejected) -> Option<String> {
    use Rejected as R;
    Some(match rejected {
        R::NotFound(Subject { of, id }) => match of {
            Thing::App => format!("App '{id}' does not exist"),
            Thing::Group => format!("Group '{id}' does not exist"),
            Thing::Deployment => format!("DeploymentPlan '{id}' does not exist"),
            Thing::Instance => format!("Task '{id}' does not exist"),
            Thing::Queue => format!("Application {id} not found in tasks queue."),
            _ => return None,
        },
        R::Exists(Subject { of: Thing::App, id }) => {
            format!("An app with id [{id}] already exists.")
        }
        R::TooMany { of: Thing::Deployment, max } => format!(
            "Max number ({max}) of running deployments is achieved. Wait for existing deployments to complete or cancel one"
        ),
        R::Exhausted { of: Thing::ServicePort, from, to } => {
            format!("No service port is left in the range {from}-{to}")
        }
        _ => return None,
    })
}

fn rule(path: &str, text: String) -> Response {
    Error::rule(path, text).response()
}

/// The web interface offers its force dialog where the message holds `force=true`.
fn locked(deployments: &[DeploymentId]) -> Response {
    let message = "App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.";
    let deployments = Some(deployments.iter().map(|id| Id { id }).collect());
    reply::json(StatusCode::CONFLICT, &Body { message, details: None::<()>, deployments })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::path::PathId;

    #[test]
    fn a_command_that_nobody_decided_says_why() {
        use ProposeError as E;
        for (error, status) in [
            (E::NoLeader, 503),
            (E::DiskFull, 503),
            (E::Stopped("torn page".into()), 503),
            (E::Unknown, 503),
            (E::TooLarge { n_bytes: 9, n_bytes_max: 8 }, 413),
        ] {
            let told = Error::Undecided(error.clone().into());
            assert_eq!(told.to_string(), error.to_string());
            assert_eq!(told.response().status(), status, "{error}");
        }
    }

    #[test]
    fn every_refusal_has_its_status_and_text() {
        use Rejected as R;
        let by = vec!["node n".to_owned()];
        let who = "node n".to_owned();
        let (apps, deployments) = (vec![PathId::parse("/a")], vec![DeploymentId::from("d")]);
        let cases = [
            (R::Exists(Thing::Cluster.itself()), 409, r#""message":"the cluster is already"#),
            (R::NotFound(Thing::App.named("/a")), 404, r#"{"message":"App '/a' does not exist"}"#),
            (R::Exists(Thing::App.named("/a")), 409, "An app with id [/a] already exists."),
            (R::Taken(Thing::Path.named("/a")), 422, "may not have the same identifier"),
            (R::NotFound(Thing::Group.named("/a")), 404, "Group '/a' does not exist"),
            (R::Stale(Thing::App.named("/a")), 409, "changed meanwhile"),
            (
                R::Locked { apps: apps.clone(), deployments },
                409,
                r#"?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.","deployments":[{"id":"d"}]}"#,
            ),
            (
                R::TooMany { of: Thing::Deployment, max: 100 },
                403,
                "Max number (100) of running deployments",
            ),
            (R::Cycle(apps), 422, "cyclic dependencies"),
            (R::Exhausted { of: Thing::ServicePort, from: 1, to: 2 }, 500, "1-2"),
            (
                R::NotFound(Thing::Deployment.named("d")),
                404,
                r#"{"message":"DeploymentPlan 'd' does not exist","details":[]}"#,
            ),
            (R::Stale(Thing::Step.itself()), 409, "step"),
            (R::NotFound(Thing::Instance.named("i")), 404, "Task 'i' does not exist"),
            (R::NotFound(Thing::Node.named("n")), 404, r#"{"message":"node n does not exist"}"#),
            (R::Busy(Thing::Node.named("n")), 409, "node n"),
            (
                R::NotFound(Thing::Queue.named("/a")),
                404,
                r#"{"message":"Application /a not found in tasks queue.","details":[]}"#,
            ),
            (R::Exists(Thing::User.named("u")), 409, r#"{"message":"user u already exists"}"#),
            (R::NotFound(Thing::User.named("u")), 404, "user u"),
            (R::Last(Thing::User.named("u")), 409, "user u is the last one"),
            (R::NotFound(Thing::Role.named("r")), 404, "role r"),
            (R::not_invited(), 409, "the token is not known"),
            (R::bad_certificate("expired".into()), 409, r#"{"message":"expired"}"#),
            (R::HeldBack { to: 3, by }, 409, "held back by node n"),
            (R::TooOld { who, level: 1, wanted: 2 }, 409, "node n can do level 1"),
            (
                R::invalid("/x", "bad"),
                422,
                r#"{"message":"Object is not valid","details":[{"path":"/x","errors":["bad"]}]}"#,
            ),
            // Of other worlds: by its kind alone.
            (
                R::NotFound(Thing::Certificate.named("7")),
                404,
                r#"{"message":"certificate 7 does not exist"}"#,
            ),
            (R::TooMany { of: Thing::User, max: 9 }, 403, "9 users are there"),
        ];
        for (case, status, text) in cases {
            let response = rejected(&case);
            let body = String::from_utf8_lossy(response.body().bytes().unwrap()).into_owned();
            assert_eq!(response.status().as_u16(), status, "{case:?}");
            assert!(body.contains(text), "{case:?}: {body}");
        }
    }
}
